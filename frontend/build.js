// Bundles editor.js into the package, with the licences of all that is in it beside it.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const out = "../automagik_prompts/console/static/";
const { metafile } = await build({
  entryPoints: ["editor.js"], outfile: `${out}editor.js`, bundle: true, minify: true, format: "esm", target: "es2022",
  legalComments: "none", charset: "ascii", metafile: true,
  banner: { js: "/* CodeMirror and what it is made of; the licences are in editor.licences.txt beside this file. */" },
});
const names = new Set(Object.keys(metafile.inputs).map((path) => path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]));
const texts = [...names].filter(Boolean).sort().map((name) => {
  const folder = `node_modules/${name}/`;
  const licence = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
  const { version } = JSON.parse(readFileSync(`${folder}package.json`, "utf8"));
  return `${name} ${version}\n\n${readFileSync(folder + licence, "utf8").trim()}\n`;
});
writeFileSync(`${out}editor.licences.txt`, texts.join(`\n${"-".repeat(80)}\n\n`));
