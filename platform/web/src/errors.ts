import i18next from "i18next";

import { ApiProblem } from "./api/problem";

/** In the reader's language: our own sentence for the code, else the server's, else one that fits all. */
export function sentence(error: unknown): string {
  const { code, message } = error instanceof ApiProblem ? error : { code: "unexpected", message: "" };
  const own = `errors.${code}`;
  return i18next.exists(own) && !message ? i18next.t(own) : message || i18next.t("errors.unexpected");
}

/** What is wrong with one field of a form, where the failure is about it. */
export function wrong(error: unknown, field: string): string | undefined {
  return error instanceof ApiProblem && error.field === field ? sentence(error) : undefined;
}
