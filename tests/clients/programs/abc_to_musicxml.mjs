// ABC read by musicxml-io, which is not ours: each FOLDER/*.abc becomes a .xml beside it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, folder] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/package.json`));
const { parseAbc, serialize } = require("musicxml-io");

for (const name of readdirSync(folder).filter((name) => name.endsWith(".abc"))) {
  const path = `${folder}/${name}`;
  writeFileSync(path.replace(/abc$/, "xml"), serialize(parseAbc(readFileSync(path, "utf8"))));
}
