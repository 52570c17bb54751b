import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BridgeError } from './errors.ts';

/** A file that ships with the package, found from the sources as well as from what was built of them. */
export function packageFile(path: string): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new BridgeError('INTERNAL', 'the package has no package.json');
    folder = parent;
  }
  return join(folder, path);
}

/** Such as `1.2.3`. */
export function packageVersion(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8'));
  return manifest.version;
}
