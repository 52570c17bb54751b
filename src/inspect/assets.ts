import { readFileSync } from 'node:fs';
import { packageFile } from '../package-file.ts';

/** Of web/inspect/, in the order in which one may use what another exports when it is run. */
const SCRIPTS = [
  'data.js',
  'view.js',
  'lanes.js',
  'timeline.js',
  'sound.js',
  'talk.js',
  'events.js',
  'tables.js',
  'main.js',
] as const;

const STYLES = ['page.css', 'panels.css'] as const;

/** What a page is made of beside its data. */
export interface Assets {
  readonly script: string;
  readonly style: string;
}

/** Reads the files of the page that ship with the package. */
export function readAssets(): Assets {
  const modules = SCRIPTS.map((name) => withoutModules(read(name)));
  return {
    script: `(() => {\n'use strict';\n${modules.join('\n')}\n})();\n`,
    style: STYLES.map(read).join(''),
  };
}

function read(name: string): string {
  return readFileSync(packageFile(`web/inspect/${name}`), 'utf8');
}

/** A page that lies in a file cannot load modules, so all of them become one script. Their names are unique. */
function withoutModules(source: string): string {
  return source.replace(/^import [^;]*;\n/gm, '').replace(/^export /gm, '');
}
