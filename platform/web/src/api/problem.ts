import type { Problem } from "./schema";

/** What the API says of a failure: `code` is stable, `message` is a sentence in the language of the reader. */
export class ApiProblem extends Error {
  readonly code: string;
  readonly status: number;
  readonly field: string | undefined;

  constructor(code: string, message: string, status: number, field?: string | null) {
    super(message);
    this.code = code;
    this.status = status;
    this.field = field ?? undefined;
  }
}

export function problemOf(body: unknown, status: number): ApiProblem {
  const told = body as Partial<Problem> | undefined;
  return new ApiProblem(told?.code ?? "unexpected", told?.detail ?? "", status, told?.field);
}

export const isForbidden = (error: unknown) => error instanceof ApiProblem && error.status === 403;
export const isMissing = (error: unknown) => error instanceof ApiProblem && error.status === 404;
export const isSignedOut = (error: unknown) => error instanceof ApiProblem && error.status === 401;
