import { expect, test } from "vitest";
import type { ClusterRow } from "../src/bindings";
import { agreed } from "../src/parts/permissions";

function row(cluster: string, write: string, by: string): ClusterRow {
  return { cluster, read: "yes", write, execute: "no", by, when: null, note: null };
}

test("who agree about a cluster are one row, who differ are two", () => {
  const same = [row("a", "yes", "the cluster"), row("a", "yes", "the token service")];
  expect(agreed(same)).toEqual([same[0]]);
  const differing = [row("a", "yes", "the cluster"), row("a", "no", "the token service"), row("b", "yes", "the cluster")];
  expect(agreed(differing)).toEqual(differing);
});
