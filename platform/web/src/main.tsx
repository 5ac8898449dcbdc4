import "./styles.css";

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";

import { ApiProblem } from "./api/problem";
import { App } from "./app";
import { startTexts } from "./i18n";
import { keepReferral } from "./session/referral";
import { keptTheme, wear } from "./theme";

/** By it the browser knows the style elements that our own libraries make. */
const nonce = document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]')?.content;
Object.assign(globalThis, { __webpack_nonce__: nonce });

const PERMANENT = 500;
const cache = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) => failures < 2 && !(error instanceof ApiProblem && error.status > 0 && error.status < PERMANENT),
      retryDelay: (failures) => 400 * 2 ** failures,
    },
  },
});

wear(keptTheme());
void keepReferral();
void startTexts().then(() =>
  createRoot(document.getElementById("root") as HTMLElement).render(
    <StrictMode>
      <QueryClientProvider client={cache}>
        <BrowserRouter>
          <App />
        </BrowserRouter>
      </QueryClientProvider>
    </StrictMode>,
  ),
);
