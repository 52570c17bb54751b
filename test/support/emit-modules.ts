import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Writes these sources (`src/clock.ts`), and what they import, as modules for a Node without any help into a folder that
 * exists, with their types if asked for. Types are not checked, which is for the check of the sources to do: that alone
 * would take most of the time.
 */
export function emitModules(
  folder: string,
  sources: readonly string[],
  options: { readonly types?: true } = {},
): void {
  mkdirSync(folder, { recursive: true });
  const config = {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      noCheck: true,
      declaration: options.types === true,
      outDir: folder,
      rootDir: ROOT,
      typeRoots: [join(ROOT, 'node_modules/@types')],
    },
    files: sources.map((source) => join(ROOT, source)),
    include: [],
  };
  const path = join(folder, 'tsconfig.json');
  writeFileSync(path, JSON.stringify(config));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stdout);
}
