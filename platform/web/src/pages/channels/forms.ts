import type { ChannelIn } from "../../api/schema";

export const KINDS = ["telegram", "vk", "mail", "sms", "whatsapp", "http"] as const;
export type Kind = (typeof KINDS)[number];

/** `path` is where it belongs in the body of the request, which is how the API names what is wrong. */
export type Input = { path: string; label: string; type?: "password" | "number" | "email" | "url"; example?: string; value?: string; optional?: boolean; options?: readonly string[] };

const twilio: readonly Input[] = [
  { path: "settings.account_sid", label: "accountSid", example: "AC…" },
  { path: "settings.sender", label: "sender", example: "+15551234567" },
  { path: "secrets.auth_token", label: "authToken", type: "password" },
];

export const FORMS: Record<Kind, readonly Input[]> = {
  telegram: [
    { path: "secrets.bot_token", label: "botToken", type: "password", example: "123456789:AA…" },
    { path: "settings.mode", label: "mode", options: ["polling", "webhook"] },
  ],
  vk: [
    { path: "settings.group_id", label: "groupId", type: "number", example: "123456789" },
    { path: "secrets.token", label: "communityToken", type: "password" },
    { path: "settings.mode", label: "mode", options: ["long_poll", "callback"] },
  ],
  mail: [
    { path: "settings.from_address", label: "address", type: "email", example: "support@example.com" },
    { path: "settings.imap.host", label: "imapHost", example: "imap.example.com" },
    { path: "settings.imap.port", label: "imapPort", type: "number", value: "993" },
    { path: "settings.smtp.host", label: "smtpHost", example: "smtp.example.com" },
    { path: "settings.smtp.port", label: "smtpPort", type: "number", value: "465" },
    { path: "settings.user", label: "mailUser", example: "support@example.com" },
    { path: "secrets.imap_password", label: "mailPassword", type: "password" },
  ],
  sms: twilio,
  whatsapp: twilio,
  http: [
    { path: "settings.callback_url", label: "callbackUrl", type: "url", example: "https://" },
    { path: "secrets.secret", label: "signingSecret", type: "password", example: "whsec_…" },
  ],
};

type Tree = { [key: string]: string | number | Tree };

/** The fields of the form by their paths; a mailbox has one user for both servers. */
export function bodyOf(kind: Kind, { name = "", ...fields }: Record<string, string>): ChannelIn {
  const tree: Tree = {};
  for (const input of FORMS[kind]) {
    const value = fields[input.path]?.trim();
    if (value) put(tree, input.path.split("."), input.type === "number" ? Number(value) : value);
  }
  const { user, ...settings } = (tree["settings"] ?? {}) as Tree;
  if (user) for (const server of ["imap", "smtp"]) put(settings, [server, "user"], user as string);
  return { name, type: kind, settings, secrets: (tree["secrets"] ?? {}) as Tree };
}

function put(tree: Tree, [first = "", ...rest]: string[], value: string | number): void {
  if (!rest.length) tree[first] = value;
  else put((tree[first] ??= {}) as Tree, rest, value);
}
