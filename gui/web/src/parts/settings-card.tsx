// A group of settings, and a line in it: what it is, in words, and a control on the right.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export function Card({ title, children }: { title: string; children: ComponentChildren }) {
  const id = useId();
  return (
    <section class="card settings" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

interface LineProps {
  label: string;
  about?: ComponentChildren;
  /** The id of the field that the label names. */
  controls?: string;
  children?: ComponentChildren;
}

export function Line({ label, about, controls, children }: LineProps) {
  return (
    <div class="setting">
      <div class="setting-words">
        {controls ? <label for={controls}>{label}</label> : <p>{label}</p>}
        {about && <p class="faint">{about}</p>}
      </div>
      {children && <div class="setting-acts">{children}</div>}
    </div>
  );
}
