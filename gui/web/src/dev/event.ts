// In the place of `@tauri-apps/api/event` while one looks at the page without the Rust side.

import { hear } from "./core";

export function listen<Payload>(_name: string, tell: (event: { payload: Payload }) => void): Promise<() => void> {
  hear((news) => tell({ payload: news as Payload }));
  return Promise.resolve(() => hear(() => {}));
}
