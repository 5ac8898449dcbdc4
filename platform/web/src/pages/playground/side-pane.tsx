import { BookOpenText, X } from "lucide-react";
import { Dialog } from "radix-ui";
import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { IconButton } from "../../ui/button";
import { Blank } from "../../ui/states";
import { TextPane } from "../document/text-pane";
import { RunDetails } from "./run-details";
import type { Turn } from "./history";

/** A source by its number, or how the answer came about. */
export type Opened = { turn: Turn; number?: number };
const WIDE = "(min-width: 80rem)";

/** Beside the talk where there is room, over it elsewhere. */
export function SidePane({ opened, onClose }: { opened: Opened | undefined; onClose: () => void }) {
  const { t } = useTranslation();
  const isWide = useWide();
  if (isWide) {
    return (
      <aside aria-label={t("playground.pane")} className="hidden min-h-0 border-l border-line bg-card xl:block">
        {opened ? <Content opened={opened} close={<CloseButton onClick={onClose} />} /> : <div className="grid h-full place-items-center"><Blank icon={BookOpenText} title={t("playground.paneEmpty")}>{t("playground.paneEmptyHint")}</Blank></div>}
      </aside>
    );
  }
  return (
    <Dialog.Root open={opened !== undefined} onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-veil animate-fade" />
        <Dialog.Content aria-describedby={undefined} className="fixed inset-x-0 bottom-0 z-50 h-[82dvh] overflow-hidden rounded-t-2xl border-t border-line bg-card shadow-float animate-rise md:inset-y-0 md:right-0 md:left-auto md:h-auto md:w-[30rem] md:rounded-none md:border-l">
          <Dialog.Title className="sr-only">{t("playground.pane")}</Dialog.Title>
          {opened && <Content opened={opened} close={<CloseButton onClick={onClose} />} />}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function CloseButton({ onClick }: { onClick: () => void }) {
  const { t } = useTranslation();
  return (
    <IconButton label={t("action.close")} onClick={onClick}>
      <X aria-hidden className="size-4" />
    </IconButton>
  );
}

function Content({ opened, close }: { opened: Opened; close: ReactNode }) {
  const { t } = useTranslation();
  const { played } = opened.turn;
  const citation = played?.citations.find(({ number }) => number === opened.number);
  if (!played) return null;
  const place = citation && { start: citation.start, end: citation.end };
  const link = citation && `/knowledge/${citation.document_id}?${new URLSearchParams({ start: String(citation.start), end: String(citation.end), version: citation.version_id }).toString()}`;
  return (
    <div className="flex h-full flex-col">
      <header className="flex items-start gap-3 border-b border-line px-5 py-3">
        <div className="min-w-0 grow">
          <h2 className="truncate font-semibold">{citation ? citation.document : t("playground.run")}</h2>
          <p className="truncate text-xs text-soft">{citation ? citation.locator || t("playground.source", { number: citation.number }) : opened.turn.question}</p>
        </div>
        {link && (
          <Link to={link} className="mt-1 text-[13px] whitespace-nowrap text-accent underline decoration-accent/40 underline-offset-2 hover:decoration-accent">
            {t("playground.openDocument")}
          </Link>
        )}
        {close}
      </header>
      <div className="min-h-0 grow overflow-y-auto px-5 py-5" tabIndex={0} role="region" aria-label={citation?.document ?? t("playground.run")}>
        {citation ? <TextPane key={`${citation.document_id} ${citation.version_id}`} documentId={citation.document_id} versionId={citation.version_id} place={place} /> : <RunDetails played={played} />}
      </div>
    </div>
  );
}

function useWide(): boolean {
  const [isWide, setWide] = useState(() => matchMedia(WIDE).matches);
  useEffect(() => {
    const query = matchMedia(WIDE);
    const hear = () => setWide(query.matches);
    query.addEventListener("change", hear);
    return () => query.removeEventListener("change", hear);
  }, []);
  return isWide;
}
