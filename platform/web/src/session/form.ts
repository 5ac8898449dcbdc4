import { type FormEvent, useState } from "react";

type State = { busy: boolean; error?: unknown };

/** The state of a form that is sent: busy, then done or an error; a second press is no second call. */
export function useSending<Args extends unknown[]>(work: (...args: Args) => Promise<unknown>) {
  const [state, setState] = useState<State>({ busy: false });
  const send = async (...args: Args): Promise<boolean> => {
    if (state.busy) return false;
    setState({ busy: true });
    try {
      await work(...args);
      setState({ busy: false });
      return true;
    } catch (error) {
      setState({ busy: false, error });
      return false;
    }
  };
  return { ...state, send, clear: () => setState({ busy: false }) };
}

/** The fields of a form by name. */
export function fieldsOf(event: FormEvent<HTMLFormElement>): Record<string, string> {
  event.preventDefault();
  return Object.fromEntries([...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value)]));
}
