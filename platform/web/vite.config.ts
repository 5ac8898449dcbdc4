import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: {
    target: "es2023",
    // The colours are written with light-dark(), which an older target would unfold into rules that no script can turn.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    assetsInlineLimit: 0, // the policy of the page forbids what is not a file
    sourcemap: false,
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/api": { target: process.env["ASISSTO_API"] ?? "http://127.0.0.1:8000" } } },
});
