import { defineConfig } from "vitest/config";

// `--mode stand-in` puts sample data in the place of the Rust side, so that the page can be looked at in any browser.
// A plain build knows nothing of it.
const standIn = {
  "@tauri-apps/api/core": new URL("./src/dev/core.ts", import.meta.url).pathname,
  "@tauri-apps/api/event": new URL("./src/dev/event.ts", import.meta.url).pathname,
};

export default defineConfig(({ mode }) => ({
  base: "./",
  resolve: { alias: mode === "stand-in" ? standIn : {} },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    // The oldest web view that we promise: WebKit of macOS 13 (Ventura), which is older than WebKitGTK 2.50 and WebView2.
    target: ["es2022", "safari16"],
    outDir: "dist",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: { entryFileNames: "window.js", assetFileNames: "window[extname]", codeSplitting: false },
    },
  },
  server: { host: "127.0.0.1", port: 5173, strictPort: true },
  test: { environment: "happy-dom", include: ["tests/**/*.test.{ts,tsx}"] },
}));
