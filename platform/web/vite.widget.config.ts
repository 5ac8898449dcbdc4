import { defineConfig } from "vite";

/** One file for pages of other sites, beside the console: its name stays the same. */
export default defineConfig({
  publicDir: false,
  build: {
    target: "es2022",
    emptyOutDir: false,
    reportCompressedSize: false,
    lib: { entry: "widget/main.ts", formats: ["iife"], name: "asisstoWidget", fileName: () => "widget.js" },
  },
});
