// Samples of what is asked for when it is looked at.

import type { ActivityLine, Change, Grant, Permissions, TokenOutcome, Tool } from "../bindings";
import { at } from "./scenes";

const cluster = (name: string, rights: [string, string, string], by: string, note: string | null = null) => ({
  cluster: name,
  read: rights[0],
  write: rights[1],
  execute: rights[2],
  by,
  when: at(-0.01),
  note,
});
const fact = (name: string, values: string[], by: string, when: string | null = at(-0.02)) => ({ name, values, by, when });

export const permissions: Permissions[] = [
  {
    name: "aws.dev",
    kind: "aws",
    clusters: [],
    facts: [
      fact("account", ["123456789012"], "AWS"),
      fact("role", ["arn:aws:iam::123456789012:role/OktaRole"], "the configuration", null),
      fact("assumed", ["arn:aws:sts::123456789012:assumed-role/OktaRole/ada@acme.dev"], "AWS"),
    ],
    troubles: [],
  },
  {
    name: "sso.okta",
    kind: "sso",
    clusters: [],
    facts: [
      fact("owner", ["ada@acme.dev"], "the identity provider"),
      fact("scopes", ["openid", "profile", "email", "offline_access"], "the identity provider"),
      fact("groups", ["engineering", "aws-dev", "everyone", "build-people"], "the identity provider"),
      fact("ends", [at(69)], "the identity provider"),
    ],
    troubles: [],
  },
  {
    name: "token.aspect",
    kind: "token",
    clusters: [
      cluster("aw-remote-ext.acme.dev", ["yes", "no", "without-effect"], "the cluster"),
      cluster(
        "aw-remote-int-with-a-long-name.eu-central-1.acme.dev",
        ["unknown", "unknown", "unknown"],
        "the token service",
        "the cluster does not tell what a token may do",
      ),
    ],
    facts: [fact("owner", ["ada@acme.dev"], "the token service"), fact("ends", [at(12.4)], "you", null)],
    troubles: [],
  },
  {
    name: "token.gitlab",
    kind: "token",
    clusters: [],
    facts: [],
    troubles: [{ code: "offline", say: "`gitlab.acme.dev` does not answer", hint: "keyfob permissions gitlab --again" }],
  },
];

const line = (minutes: number, more: Partial<ActivityLine>): ActivityLine => ({
  at: at(-minutes / 1440).replace("Z", ".123Z"),
  act: "get",
  outcome: "given",
  entry: "token.aspect",
  target: "aw-remote-ext.acme.dev",
  code: null,
  program: "/opt/bazel/java",
  pid: 4711,
  behind: ["/usr/bin/bazel", "/usr/bin/bash"],
  verified: true,
  claims: "bazel(workspace)",
  note: null,
  ...more,
});

export const activity: ActivityLine[] = [
  line(1, {}),
  line(3, {
    act: "credential-process",
    outcome: "refused",
    entry: "aws.dev",
    target: null,
    code: "approval_pending",
    program: "/usr/bin/terraform",
    claims: null,
  }),
  line(4, {
    act: "approve",
    outcome: "done",
    entry: "aws.dev",
    target: null,
    program: "/usr/bin/keyfob",
    note: "/usr/bin/terraform until 2026-11-22T00:00:23Z, typed on a terminal",
    claims: null,
  }),
  line(6, { outcome: "refused", code: "not_allowed", program: "/tmp/downloads/curl", verified: false }),
  line(9, { outcome: "empty", entry: null, target: "registry.bazel.build" }),
  line(11, { outcome: "gone" }),
  line(14, { act: "lock", outcome: "done", entry: null, target: null, program: null, pid: null, behind: [], claims: null }),
  line(3000, { act: "token-rotate", outcome: "done", entry: "token.builds", target: null, program: "/usr/bin/keyfob" }),
  ...Array.from({ length: 200 }, (_, index) => line(3010 + index, {})),
];

export const grants: Grant[] = [
  {
    id: "a",
    entry: "aws.dev",
    program: "/usr/bin/terraform",
    allowed: true,
    once: false,
    given: at(-0.1),
    until: at(0.2),
    stale: false,
  },
  {
    id: "b",
    entry: "token.aspect",
    program: "/opt/tools/very/deeply/nested/folder/bazel-6.3.2/bin/java",
    allowed: true,
    once: false,
    given: at(-12),
    until: null,
    stale: true,
  },
  {
    id: "c",
    entry: "token.aspect",
    program: "/tmp/downloads/curl",
    allowed: false,
    once: false,
    given: at(-40),
    until: null,
    stale: false,
  },
];

export const tools: Tool[] = [
  {
    name: "bazel",
    state: "attention",
    say: "`/home/ada/.bazelrc` does not ask keyfob for `aw-remote-ext.acme.dev`",
    can_set_up: true,
  },
  { name: "aws", state: "set-up", say: "`/home/ada/.aws/config` has a profile for each role", can_set_up: false },
];

export const changes: Change[] = [
  { entry: "token.gitlab", places: ["host registry.acme.dev", "host *.pages.acme.dev"] },
];

export const outcome: TokenOutcome = {
  say: "the token of `token.builds` is replaced, and the one before it is withdrawn",
  owner: "ada",
  until: at(365),
  until_assumed: false,
  lost: ["write at builds.acme.dev"],
  gained: ["execute at cache.builds.acme.dev"],
  notes: [{ weight: "known", say: "clusters may still accept the token before it, for an hour" }],
  before: {
    name: "token.builds",
    kind: "token",
    clusters: [
      cluster("builds.acme.dev", ["yes", "yes", "no"], "the cluster"),
      cluster("cache.builds.acme.dev", ["yes", "no", "no"], "the cluster"),
    ],
    facts: [],
    troubles: [],
  },
  after: {
    name: "token.builds",
    kind: "token",
    clusters: [
      cluster("builds.acme.dev", ["yes", "no", "no"], "the cluster"),
      cluster("cache.builds.acme.dev", ["yes", "no", "yes"], "the cluster"),
    ],
    facts: [],
    troubles: [],
  },
};
