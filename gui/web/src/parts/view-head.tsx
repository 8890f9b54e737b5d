// The head of a view, and what it shows where there is nothing.

import type { ComponentChildren } from "preact";
import type { View } from "../bindings";
import { t } from "../text";

export function ViewHead({ view, about, children }: { view: View; about?: string; children?: ComponentChildren }) {
  return (
    <header class="view-head">
      <div>
        <h1>{t(`view.${view}`)}</h1>
        {about && <p class="faint">{about}</p>}
      </div>
      {children && <div class="view-acts">{children}</div>}
    </header>
  );
}

export function Empty({ title, say, children }: { title: string; say: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      <p>{say}</p>
      {children}
    </div>
  );
}
