// The whole web part, as it is embedded into the program: at most 150 kB gzipped.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 150_000;
const folder = new URL("./dist/", import.meta.url);
const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
const sizes = files.map((file) => {
  const bytes = readFileSync(`${file.parentPath}/${file.name}`);
  return { name: file.name, plain: bytes.length, packed: gzipSync(bytes, { level: 9 }).length };
});
const sum = sizes.reduce((all, { packed }) => all + packed, 0);
for (const { name, plain, packed } of sizes) console.log(`${name}  ${plain} bytes, ${packed} gzipped`);
console.log(`all  ${sum} gzipped, ${LIMIT} at most`);
process.exitCode = sizes.length === 3 && sum <= LIMIT ? 0 : 1;
