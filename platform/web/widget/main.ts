/** What the script tag starts, and what the page may call afterwards: `Asissto.open()`, `close()`, `identify(…)`. */

import { readConfig } from "./config";
import type { Identity } from "./config";
import { Widget } from "./widget";

interface Api {
  open(): void;
  close(): void;
  identify(identity: Identity | null): Promise<boolean>;
}

declare global {
  interface Window {
    Asissto?: Api;
  }
}

function start(script: HTMLScriptElement): void {
  const languages = [document.documentElement.lang, ...navigator.languages].filter(Boolean);
  const config = readConfig(script.src, script.dataset, languages, "frame" in script.dataset ? location.hash : "");
  if (config === null) return console.warn("Asissto: data-id names no widget.");
  const widget = new Widget(config);
  window.Asissto = {
    open: () => widget.open(),
    close: () => widget.close(),
    identify: (identity) => widget.identify(identity),
  };
  void widget.start();
  window.dispatchEvent(new Event("asissto:ready"));
}

const script = document.currentScript ?? document.querySelector("script[data-id][src*='/widget.js']");
if (script instanceof HTMLScriptElement && window.Asissto === undefined) start(script);
