import { api } from "../api/client";

const KEPT = "referral";
const LONGEST = 100;
const NOT_FOUND = 404;

export type Followed = { referral_code?: string; referral_clicked_at?: string };

/** Takes `?ref=CODE` out of the address and keeps it until somebody registers; a code that is unknown changes nothing. */
export async function keepReferral(): Promise<void> {
  const address = new URL(location.href);
  const code = address.searchParams.get("ref");
  if (!code) return;
  address.searchParams.delete("ref");
  if (address.pathname === "/") address.pathname = "/register";
  history.replaceState(null, "", address);
  const counted = await api.POST("/api/v1/referrals/clicks", { body: { code } }).catch(() => undefined);
  if (counted?.response.status === NOT_FOUND || code.length > LONGEST) return;
  localStorage.setItem(KEPT, JSON.stringify({ referral_code: code, referral_clicked_at: new Date().toISOString() }));
}

export const keptReferral = () => JSON.parse(localStorage.getItem(KEPT) ?? "{}") as Followed;
export const forgetReferral = () => localStorage.removeItem(KEPT);
