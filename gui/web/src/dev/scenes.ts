// Samples of what the window draws: every state of an entry, and every state of the agent.

import type { Deed, Page, Question, Row } from "../bindings";

const DAY = 86_400_000;

/** So many days from now. */
export function at(days: number): string {
  return `${new Date(Date.now() + days * DAY).toISOString().slice(0, 19)}Z`;
}

function row(name: string, more: Partial<Row>): Row {
  const [kind = "", short = ""] = name.split(".");
  return {
    name,
    short,
    kind,
    what: kind,
    targets: [],
    through: null,
    owner: null,
    state: "live",
    since: null,
    until: null,
    until_assumed: false,
    until_by: null,
    trouble: null,
    notes: [],
    due: null,
    can: [],
    plan: [],
    quiet_until: null,
    prefix: null,
    has_portal: false,
    rotates_by_service: false,
    policy: [],
    ...more,
  };
}

const deed = (what: Exclude<Deed["do"], "unlock">, entry: string): Deed => ({ do: what, entry });
const tokenDeeds = (entry: string): Deed[] => [
  deed("rotate-token", entry),
  deed("say-end", entry),
  deed("snooze", entry),
  deed("remove-token", entry),
];
const reminders = (end: number) =>
  [30, 14, 7, 3, 1].filter((days) => end - days > 0).map((days) => ({ at: at(end - days), what: "remind" as const }));

export const rows: Row[] = [
  row("aws.dev", {
    targets: ["arn:aws:iam::123456789012:role/OktaRole", "eu-west-1"],
    through: "sso.okta",
    owner: "ada@acme.dev",
    since: at(-0.02),
    until: at(0.03),
    plan: [{ at: at(0.02), what: "renew" }],
    can: [deed("sign-in", "sso.okta")],
    policy: ["allow = /usr/bin/terraform", "confirm = first"],
  }),
  row("aws.production", {
    targets: ["arn:aws:iam::210987654321:role/a-very-long-role-name-that-nobody-can-read-at-once", "us-east-1"],
    through: "sso.okta",
    state: "waiting",
    trouble: { code: "offline", say: "AWS cannot be reached: `sts.us-east-1.amazonaws.com` does not answer", hint: "" },
  }),
  row("sso.okta", {
    targets: ["*.cache.acme.dev"],
    owner: "ada@acme.dev",
    since: at(-20),
    until: at(69),
    until_by: "the identity provider",
    plan: [
      { at: at(0.5), what: "renew" },
      { at: at(69), what: "end" },
    ],
    can: [deed("sign-in", "sso.okta"), deed("sign-out", "sso.okta")],
  }),
  row("sso.partner", {
    targets: ["https://login.partner.example"],
    state: "signed-out",
    due: deed("sign-in", "sso.partner"),
    trouble: { code: "sign_in_needed", say: "you are not signed in to `sso.partner`", hint: "keyfob login partner" },
  }),
  row("token.aspect", {
    targets: ["aw-remote-ext.acme.dev"],
    owner: "ada@acme.dev",
    state: "ending",
    since: at(-353),
    until: at(12.4),
    until_assumed: true,
    until_by: "the configuration",
    due: deed("rotate-token", "token.aspect"),
    can: [deed("say-end", "token.aspect"), deed("snooze", "token.aspect"), deed("remove-token", "token.aspect")],
    notes: [{ weight: "due", say: "it ends in 12 days: rotate it" }],
    plan: [...reminders(12.4), { at: at(12.4), what: "end" }],
    prefix: "aw_",
    has_portal: true,
  }),
  row("token.builds", {
    targets: ["builds.acme.dev", "cache.builds.acme.dev"],
    owner: "ada",
    since: at(-95),
    until: at(270.2),
    until_by: "the token service",
    rotates_by_service: true,
    can: tokenDeeds("token.builds"),
    plan: [...reminders(270.2), { at: at(256), what: "renew" }, { at: at(270.2), what: "end" }],
    notes: [{ weight: "known", say: "clusters may still accept the token before it, for 40 minutes" }],
    quiet_until: at(4),
  }),
  row("token.gitlab", {
    targets: ["gitlab.acme.dev"],
    owner: "ada",
    state: "refused",
    until: at(40),
    trouble: {
      code: "destination_changed",
      say: "an edit of the configuration sends it to a new place: `host registry.acme.dev`",
      hint: "keyfob config confirm",
    },
    due: deed("confirm-places", "token.gitlab"),
    can: tokenDeeds("token.gitlab"),
    plan: [...reminders(40), { at: at(40), what: "end" }],
  }),
  row("token.jupyter-notebooks-of-the-research-team", {
    targets: ["jupyter.research.acme.dev"],
    state: "signed-out",
    due: deed("add-token", "token.jupyter-notebooks-of-the-research-team"),
    has_portal: true,
  }),
];

const noJob = { code: "machine_identity_missing", say: "no job runs here that has an identity", hint: "" };

/** One of each of the later kinds. */
const kinds: Row[] = [
  ...rows.filter((one) => one.name === "sso.okta" || one.name === "aws.dev"),
  row("aws.audit", {
    targets: ["arn:aws:iam::210987654321:role/Audit"],
    through: "aws.dev",
    since: at(-0.01),
    until: at(0.03),
    plan: [{ at: at(0.02), what: "renew" }],
    can: [deed("open-console", "aws.audit")],
  }),
  row("aws.billing", { targets: ["arn:aws:iam::210987654321:role/Billing"], through: "aws.audit" }),
  row("aws.legacy", { what: "aws-command", targets: ["/usr/local/bin/vault-aws"] }),
  row("aws.deploy", {
    targets: ["arn:aws:iam::210987654321:role/Deploy"],
    through: "machine.ci",
    state: "idle",
    trouble: noJob,
  }),
  row("outscale.monitoring", {
    targets: ["monitoring", "eu-west-2"],
    since: at(-0.1),
    until: at(0.4),
    plan: [
      { at: at(0.3), what: "renew" },
      { at: at(0.4), what: "end" },
    ],
    can: [deed("remove-token", "outscale.monitoring")],
  }),
  row("outscale.spare", {
    targets: ["spare", "eu-west-2"],
    state: "signed-out",
    trouble: { code: "token_needed", say: "no key is held for `outscale.spare`", hint: "keyfob token add outscale.spare" },
    due: deed("add-token", "outscale.spare"),
  }),
  row("machine.ci", { targets: ["github-actions"], state: "idle", trouble: noJob }),
  row("outerbounds.prod", { targets: ["foo.obp.outerbounds.com"], can: [deed("remove-token", "outerbounds.prod")] }),
  row("aws.prod", { what: "aws-outerbounds", through: "outerbounds.prod" }),
  row("secret.build", { targets: ["SECRET_KEY1, SECRET_KEY2"] }),
  row("secret.empty", {
    targets: ["TOKEN"],
    state: "signed-out",
    trouble: {
      code: "token_needed",
      say: "no value is held for `secret.empty`",
      hint: "keyfob secret set empty",
    },
  }),
  row("secret.db", { what: "secret-aws", targets: ["some/test/secret-name"], through: "aws.dev", since: at(-0.001) }),
];

const questions: Question[] = [
  {
    id: "1",
    entry: "aws.dev",
    program: "/usr/local/bin/terraform",
    pid: 4242,
    behind: ["/usr/bin/make", "/usr/bin/bash"],
    claims: null,
    warnings: [],
    act: "credential-process",
    target: null,
    count: 3,
    closes: at(50 / 86_400),
    offers: ["once", "today", "always"],
  },
  {
    id: "2",
    entry: "token.aspect",
    program: "/opt/tools/very/deeply/nested/folder/of/a/company/bazel-6.3.2/bin/java",
    pid: 777,
    behind: ["/usr/bin/bazel"],
    claims: "bazel(workspace)",
    warnings: ["the program was replaced while it ran: its path proves nothing"],
    act: "get",
    target: "aw-remote-ext.acme.dev",
    count: 1,
    closes: at(20 / 86_400),
    offers: ["once"],
  },
];

const page: Page = {
  agent: { is: "running", version: "0.1.0", since: at(-3), socket: "/run/user/1000/keyfob/agent", own_profile: false },
  lock: null,
  keychain: { kind: "system", state: "present", trouble: null, needs_passphrase: false, is_new: false },
  configuration: {
    path: "/home/ada/.config/keyfob/config.toml",
    exists: true,
    errors: [],
    in_force: true,
    reminders: ["30d", "14d", "7d", "3d", "1d", "12h"],
    lock_on: ["screen", "sleep"],
  },
  rows,
  questions: [],
  sign_in: null,
  needs: 4,
  own: { version: "0.1.0", starts_at_sign_in: true, has_tray: true, says_no_tray: false, paused_until: null },
};

const nothing = { rows: [], questions: [] };

/** The states that are looked at. */
const SCENES: Record<string, Page> = {
  busy: page,
  questions: { ...page, questions },
  kinds: { ...page, rows: kinds, needs: 1 },
  calm: { ...page, rows: rows.filter((one) => one.state === "live") },
  locked: {
    ...page,
    lock: { since: at(-0.1), by: "screen", needs_passphrase: true },
    keychain: { kind: "file", state: "locked", trouble: null, needs_passphrase: true, is_new: false },
  },
  keychain: {
    ...page,
    keychain: {
      kind: "system",
      state: "missing",
      trouble: {
        code: "keychain_missing",
        say: "this machine has no keychain: `org.freedesktop.secrets` is not there",
        hint: 'set keychain = "file" under [agent]',
      },
      needs_passphrase: false,
      is_new: false,
    },
  },
  new: {
    ...page,
    needs: 1,
    rows: rows
      .filter((one) => one.kind === "token")
      .map((one) => ({
        ...one,
        state: "refused",
        trouble: { code: "keychain_locked", say: "no passphrase has been chosen yet", hint: "keyfob unlock" },
        due: { do: "unlock" },
      })),
    keychain: {
      kind: "file",
      state: "missing",
      trouble: {
        code: "keychain_locked",
        say: "no passphrase has been chosen for the encrypted keychain file yet",
        hint: "keyfob unlock",
      },
      needs_passphrase: true,
      is_new: true,
    },
  },
  broken: {
    ...page,
    configuration: {
      ...(page.configuration as NonNullable<Page["configuration"]>),
      errors: ["line 4: token.aspect: `hosts` must not be empty", "line 9: sso.okta: `issuer` is no https address"],
      in_force: true,
    },
    own: { ...page.own, version: "0.2.0", says_no_tray: true, has_tray: false, starts_at_sign_in: null },
  },
  paused: { ...page, own: { ...page.own, paused_until: at(5) } },
  empty: {
    ...page,
    ...nothing,
    configuration: { ...(page.configuration as NonNullable<Page["configuration"]>), exists: false, in_force: false },
  },
  awaited: { ...page, ...nothing, agent: { is: "awaited" } },
  absent: {
    ...page,
    ...nothing,
    keychain: null,
    configuration: null,
    agent: { is: "absent", say: "no agent answers at `/run/user/1000/keyfob/control`", hint: "", can_start: true },
  },
  "signed-in": { ...page, sign_in: { entry: "sso.okta", step: { is: "done", say: "you are signed in to `sso.okta`" } } },
  "not-signed-in": {
    ...page,
    sign_in: {
      entry: "sso.okta",
      step: {
        is: "failed",
        trouble: { code: "called_off", say: "the sign-in ran out of time", hint: "keyfob login okta" },
      },
    },
  },
};

export function sceneOf(name: string): Page {
  return SCENES[name] ?? page;
}
