// What stands above everything else: the lock, the keychain, the configuration, the versions.

import type { ComponentChildren } from "preact";
import { useFrame } from "../frame";
import { t, word } from "../text";
import { canUnlock } from "../trouble";
import { ago, exact } from "../words";
import { Sign, type SignName } from "./icons";
import { Say, TroubleSay } from "./say";

interface BannerProps {
  tone: "bad" | "warning" | "info";
  sign: SignName;
  title: string;
  children?: ComponentChildren;
  act?: ComponentChildren;
  mark: Record<`data-${string}`, string>;
}

export function Banner({ tone, sign, title, children, act, mark }: BannerProps) {
  return (
    <section class={`banner banner-${tone}`} aria-label={title} {...mark}>
      <Sign name={sign} />
      <div class="banner-words">
        <h2>{title}</h2>
        {children}
      </div>
      {act}
    </section>
  );
}

export function Banners() {
  return (
    <>
      <LockBanner />
      <KeychainBanner />
      <ConfigurationBanner />
      <VersionBanner />
      <NoTrayBanner />
    </>
  );
}

function UnlockButton({ words }: { words: string }) {
  const { begin } = useFrame();
  return (
    <button type="button" class="primary" data-act="unlock" onClick={() => begin({ do: "unlock" })}>
      {words}
    </button>
  );
}

function LockBanner() {
  const { state, now } = useFrame();
  const lock = state.page?.lock;
  if (!lock) return null;
  return (
    <Banner tone="warning" sign="lock" title={t("lock.title")} mark={{ "data-lock": "" }} act={<UnlockButton words={t("act.unlock")} />}>
      <p title={exact(lock.since)}>
        {t("lock.say", { by: word("lock.by", lock.by), ago: ago(now, lock.since) })}
      </p>
    </Banner>
  );
}

function KeychainBanner() {
  const { page } = useFrame().state;
  const keychain = page?.keychain;
  if (!page || !keychain || keychain.state === "present" || page.lock) return null;
  if (keychain.is_new) return <NewKeychainBanner />;
  return (
    <Banner
      tone={keychain.state === "locked" ? "warning" : "bad"}
      sign={keychain.state === "locked" ? "lock" : "warning"}
      title={word("keychain.title", keychain.state)}
      mark={{ "data-keychain": keychain.state }}
      act={canUnlock(page) && <UnlockButton words={t("act.unlock")} />}
    >
      {keychain.trouble && (
        <p>
          <TroubleSay trouble={keychain.trouble} />
        </p>
      )}
    </Banner>
  );
}

/** Nothing has gone wrong: the first start of a keychain in a file. */
function NewKeychainBanner() {
  return (
    <Banner
      tone="info"
      sign="lock"
      title={t("keychain.title.new")}
      mark={{ "data-keychain": "new" }}
      act={<UnlockButton words={t("act.choose-passphrase")} />}
    >
      <p>{t("keychain.new-say")}</p>
    </Banner>
  );
}

function ConfigurationBanner() {
  const { state, attempt } = useFrame();
  const configuration = state.page?.configuration;
  if (!configuration || configuration.errors.length === 0) return null;
  return (
    <Banner
      tone="bad"
      sign="warning"
      title={t(configuration.in_force ? "configuration.errors" : "configuration.broken")}
      mark={{ "data-config-errors": "" }}
      act={
        <button type="button" data-act="open-configuration" onClick={() => void attempt({ ask: "open-configuration" })}>
          {t("act.open-file")}
        </button>
      }
    >
      <ul class="plain">
        {configuration.errors.map((error) => (
          <li key={error}>
            <Say say={error} />
          </li>
        ))}
      </ul>
      <p class="faint elided" title={configuration.path}>
        {configuration.path}
      </p>
    </Banner>
  );
}

function VersionBanner() {
  const { page } = useFrame().state;
  if (!page || page.agent.is !== "running" || page.own.version === "") return null;
  if (page.agent.version === page.own.version) return null;
  return (
    <Banner tone="info" sign="info" title={t("version.title")} mark={{ "data-version": "" }}>
      <p>
        {t("version.say", { agent: page.agent.version, own: page.own.version })} <code>keyfob agent restart</code>
      </p>
    </Banner>
  );
}

function NoTrayBanner() {
  const { state, attempt } = useFrame();
  if (!state.page?.own.says_no_tray) return null;
  return (
    <Banner
      tone="info"
      sign="info"
      title={t("no-tray.title")}
      mark={{ "data-no-tray": "" }}
      act={
        <button type="button" data-act="close" onClick={() => void attempt({ ask: "put-no-tray-away" })}>
          {t("act.understood")}
        </button>
      }
    >
      <p>{t("no-tray.say")}</p>
    </Banner>
  );
}
