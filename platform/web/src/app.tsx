import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { Route, Routes } from "react-router";

import { SignedIn } from "./session/signed-in";
import { Toasts } from "./ui/toasts";
import { Blank } from "./ui/states";
import { MapPinOff } from "lucide-react";

const entering = () => import("./pages/entering");
const SignInPage = lazy(async () => ({ default: (await entering()).SignInPage }));
const RegisterPage = lazy(async () => ({ default: (await entering()).RegisterPage }));
const SetupPage = lazy(async () => ({ default: (await entering()).SetupPage }));
const ForgotPage = lazy(async () => ({ default: (await entering()).ForgotPage }));
const ResetPage = lazy(async () => ({ default: (await entering()).ResetPage }));
const ConfirmPage = lazy(async () => ({ default: (await entering()).ConfirmPage }));
const InvitationPage = lazy(async () => ({ default: (await import("./pages/invitation")).InvitationPage }));
const PlaygroundPage = lazy(() => import("./pages/playground"));
const HomePage = lazy(() => import("./pages/home"));
const AssistantsPage = lazy(() => import("./pages/assistants"));
const AssistantPage = lazy(() => import("./pages/assistant"));
const ChannelsPage = lazy(() => import("./pages/channels"));
const TeamPage = lazy(() => import("./pages/team"));
const SettingsPage = lazy(() => import("./pages/settings"));
const InboxPage = lazy(() => import("./pages/inbox"));
const KnowledgePage = lazy(() => import("./pages/knowledge"));
const DocumentPage = lazy(() => import("./pages/document"));

/** Each page is a file of its own that is fetched when it is opened. */
export function App() {
  return (
    <>
      <Suspense>
        <Routes>
          <Route path="/sign-in" element={<SignInPage />} />
          <Route path="/register" element={<RegisterPage />} />
          <Route path="/setup" element={<SetupPage />} />
          <Route path="/forgot" element={<ForgotPage />} />
          <Route path="/reset" element={<ResetPage />} />
          <Route path="/confirm" element={<ConfirmPage />} />
          <Route path="/invitation" element={<InvitationPage />} />
          <Route element={<SignedIn />}>
            <Route index element={<HomePage />} />
            <Route path="/playground" element={<PlaygroundPage />} />
            <Route path="/assistants" element={<AssistantsPage />} />
            <Route path="/assistants/:id" element={<AssistantPage />} />
            <Route path="/channels" element={<ChannelsPage />} />
            <Route path="/team" element={<TeamPage />} />
            <Route path="/settings/:tab?" element={<SettingsPage />} />
            <Route path="/inbox" element={<InboxPage />} />
            <Route path="/inbox/:id" element={<InboxPage />} />
            <Route path="/knowledge" element={<KnowledgePage />} />
            <Route path="/knowledge/:id" element={<DocumentPage />} />
            <Route path="*" element={<NowhereElse />} />
          </Route>
        </Routes>
      </Suspense>
      <Toasts />
    </>
  );
}

function NowhereElse() {
  const { t } = useTranslation();
  return (
    <Blank isPage icon={MapPinOff} title={t("state.nowhere")}>
      {t("state.nowhereHint")}
    </Blank>
  );
}
