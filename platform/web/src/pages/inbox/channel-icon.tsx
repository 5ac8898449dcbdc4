import { Code, Globe, Mail, MessageCircle, MessageSquareText, Send, Webhook } from "lucide-react";

const ICONS = { telegram: Send, vk: MessageCircle, sms: MessageSquareText, whatsapp: MessageCircle, mail: Mail, web: Globe, http: Webhook, api: Code };

export function ChannelIcon({ type, className }: { type: string; className?: string }) {
  const Icon = ICONS[type as keyof typeof ICONS] ?? MessageCircle;
  return <Icon aria-hidden className={className ?? "size-3.5"} />;
}
