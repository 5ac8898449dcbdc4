import { X } from "lucide-react";
import { AlertDialog, Dialog as Radix } from "radix-ui";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button, IconButton } from "./button";
import { Trouble } from "./states";

const VEIL = "fixed inset-0 z-40 bg-veil animate-fade";
const SHEET =
  "fixed inset-x-3 bottom-3 z-50 mx-auto max-h-[88dvh] overflow-y-auto rounded-2xl border border-line bg-raised shadow-float animate-rise sm:top-[12vh] sm:bottom-auto";

type DialogProps = { open: boolean; onClose: () => void; title: string; hint?: ReactNode; wide?: boolean; children: ReactNode };

/** From below on a telephone, in the middle elsewhere; Escape closes it and the focus goes back. */
export function Dialog({ open, onClose, title, hint, wide, children }: DialogProps) {
  const { t } = useTranslation();
  return (
    <Radix.Root open={open} onOpenChange={(now) => !now && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className={VEIL} />
        <Radix.Content className={`${SHEET} ${wide ? "max-w-2xl" : "max-w-md"}`} {...(hint ? {} : { "aria-describedby": undefined })}>
          <div className="flex items-start justify-between gap-4 px-5 pt-4">
            <div>
              <Radix.Title className="text-base font-semibold">{title}</Radix.Title>
              {hint && <Radix.Description className="mt-0.5 text-[13px] text-soft">{hint}</Radix.Description>}
            </div>
            <Radix.Close asChild>
              <IconButton label={t("action.close")} className="-mr-1.5">
                <X aria-hidden className="size-4" />
              </IconButton>
            </Radix.Close>
          </div>
          <div className="px-5 pt-4 pb-5">{children}</div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

type SureProps = { open: boolean; onClose: () => void; title: string; children: ReactNode; action: string; onSure: () => Promise<unknown> };

/** Asks before something that cannot be undone. */
export function Sure({ open, onClose, title, children, action, onSure }: SureProps) {
  const { t } = useTranslation();
  const [state, setState] = useState<{ busy: boolean; error?: unknown }>({ busy: false });
  const go = async () => {
    setState({ busy: true });
    try {
      await onSure();
      setState({ busy: false });
      onClose();
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  return (
    <AlertDialog.Root open={open} onOpenChange={(now) => !now && onClose()}>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className={VEIL} />
        <AlertDialog.Content className={`${SHEET} max-w-md space-y-4 p-5`}>
          <AlertDialog.Title className="text-base font-semibold">{title}</AlertDialog.Title>
          <AlertDialog.Description className="text-soft">{children}</AlertDialog.Description>
          <Trouble error={state.error} />
          <div className="flex justify-end gap-2">
            <AlertDialog.Cancel asChild>
              <Button>{t("action.cancel")}</Button>
            </AlertDialog.Cancel>
            <Button kind="danger" busy={state.busy} onClick={() => void go()}>
              {action}
            </Button>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
