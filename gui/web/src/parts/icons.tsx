// Pictures, drawn for 16 × 16. They stand beside words and are hidden from screen readers.

import type { RowState, View } from "../bindings";

function Icon({ d, name, filled }: { d: string; name: string; filled?: boolean }) {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={d} class={filled ? "filled" : "drawn"} fill-rule="evenodd" />
    </svg>
  );
}

const VIEW_ICONS: Record<View, string> = {
  overview: "M2 3.5h3v3H2zM7.5 5H14M2 9.5h3v3H2zM7.5 11H14",
  permissions: "M8 1.8 13.2 4v3.8c0 3-2.1 5.3-5.2 6.5C4.9 13.1 2.8 10.8 2.8 7.8V4zM5.6 8l1.8 1.8 3.2-3.4",
  timeline: "M2 13.5h12M3 4h5M6 7h6M4 10h7M13.5 2v9",
  activity: "M1.5 8.5h3l2-5.5 3 10.5 2-5h3",
  settings: "M2 4.5h6M11.5 4.5H14M2 11.5h2.5M8 11.5h6M9.75 2.75v3.5M6.25 9.75v3.5",
};

export function ViewIcon({ view }: { view: View }) {
  return <Icon name="view" d={VIEW_ICONS[view]} />;
}

const KIND_ICONS: Record<string, string> = {
  sso: "M8 8.2a2.9 2.9 0 1 0 0-5.8 2.9 2.9 0 0 0 0 5.8zM2.5 14c.4-2.6 2.6-4 5.5-4s5.1 1.4 5.5 4",
  token: "M5.2 13.3a2.9 2.9 0 1 0 0-5.8 2.9 2.9 0 0 0 0 5.8zM7.3 8.3 13.5 2M11 4.5l2 2M9 6.5l1.5 1.5",
  aws: "M4.5 12.5a3 3 0 0 1-.3-6A4 4 0 0 1 12 7a2.8 2.8 0 0 1-.4 5.5z",
  outscale: "M8 2 13.2 5v6L8 14 2.8 11V5zM8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  outerbounds: "M8 2.5 13.5 12h-11zM8 2.5v5.5M2.5 12 8 8M13.5 12 8 8",
  secret: "M3 4.5h10M3 8h10M3 11.5h10M6 3v3M10.5 6.5v3M5 10v3",
  machine: "M2.5 4h11v7.5h-11zM5.5 14h5M8 11.5V14M5.5 7l1.5 1-1.5 1M8.5 9.5h2",
};

export function KindIcon({ kind }: { kind: string }) {
  return <Icon name="kind" d={KIND_ICONS[kind] ?? "M3 3h10v10H3zM6 6h4v4H6z"} />;
}

// Each state has a shape of its own, so that it is told without its colour.
const STATE_ICONS: Record<RowState, string> = {
  live: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM11.6 5.5 10.6 4.6 7 8.7 5.3 7.1 4.4 8.1 7.1 10.6z",
  ending: "M8 1.5 15 14H1zM7.3 6v4h1.4V6zM7.3 11v1.4h1.4V11z",
  waiting: "M4 1.5h8v2.7L9.3 8 12 11.8v2.7H4v-2.7L6.7 8 4 4.2zM5.6 3v.9h4.8V3zM8 9.2 5.6 12.6V13h4.8v-.4z",
  refused: "M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8H5.3L1.5 10.7V5.3zM7.3 4.5v4.3h1.4V4.5zM7.3 10v1.5h1.4V10z",
  idle: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3zM5 7.3h6v1.4H5z",
  "signed-out": "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3z",
};

export function StateIcon({ state }: { state: RowState }) {
  return <Icon name={`state state-${state}`} d={STATE_ICONS[state]} filled />;
}

const SIGNS = {
  yes: "M2.5 8.5 6.2 12 13.5 4",
  no: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  dash: "M3 8h10",
  unknown: "M5.5 5.8a2.5 2.5 0 1 1 3.6 2.2C8.3 8.5 8 9 8 9.8M8 12.2v.8",
  more: "M3 8h.01M8 8h.01M13 8h.01",
  lock: "M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
  warning: "M8 2 14.5 13.5h-13zM8 6.5v3M8 11.5v.3",
  info: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 7.5v3.5M8 5v.2",
  copy: "M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1",
  close: "M4 4l8 8M12 4l-8 8",
  open: "M6.5 3.5h-4v10h10v-4M9.5 2.5h4v4M13.5 2.5 7.5 8.5",
  again: "M13 5.5A5.5 5.5 0 1 0 13.5 9M13.5 2.5v3.3h-3.3",
  bell: "M4 11.5V7a4 4 0 0 1 8 0v4.5l1 .5H3zM6.8 13.8a1.3 1.3 0 0 0 2.4 0",
  down: "M4 6.5 8 10.5l4-4",
  proved: "M8 1.8 13.2 4v3.8c0 3-2.1 5.3-5.2 6.5-3.1-1.2-5.2-3.5-5.2-6.5V4zM5.6 8l1.8 1.8 3.2-3.4",
  unproved: "M8 1.8 13.2 4v3.8c0 3-2.1 5.3-5.2 6.5-3.1-1.2-5.2-3.5-5.2-6.5V4zM8 5v3.5M8 10.5v.3",
} as const;

export type SignName = keyof typeof SIGNS;

export function Sign({ name }: { name: SignName }) {
  return <Icon name={name} d={SIGNS[name]} />;
}

/** The mark of Keyfob: a fob with its key hole. */
export function Mark({ size }: { size: number }) {
  return (
    <svg class="mark" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true" focusable="false">
      <path
        class="filled"
        fill-rule="evenodd"
        d="M8.5 1.5h7A2.5 2.5 0 0 1 18 4v3.2a7.5 7.5 0 1 1-12 0V4a2.5 2.5 0 0 1 2.5-2.5zM10 4v1.5h4V4zM12 8.7a2.4 2.4 0 0 0-1.2 4.48L10.2 17h3.6l-.6-3.82A2.4 2.4 0 0 0 12 8.7z"
      />
    </svg>
  );
}
