import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { encodeWav } from '../../src/audio/wav.ts';

/** A folder for one test, which is gone after it. */
export interface Folder extends Disposable {
  readonly path: string;
  /** Absolute path of a file in it. */
  at(name: string): string;
  /** Writes a file, with the folders that it needs, and gives its absolute path back. */
  write(name: string, content: string | Uint8Array): string;
}

export function makeFolder(files: Readonly<Record<string, string | Uint8Array>> = {}): Folder {
  const path = mkdtempSync(join(tmpdir(), 'patchcord-agents-'));
  const folder: Folder = {
    path,
    at: (name) => join(path, name),
    write(name, content) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      return file;
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
  for (const [name, content] of Object.entries(files)) folder.write(name, content);
  return folder;
}

/** Half a second of a WAV file whose samples rise and fall. */
export function wavFile(rate: number, channels = 1, seconds = 0.5): Uint8Array {
  const samples = new Int16Array(Math.round(rate * seconds) * channels).map((_, i) => ((i % 64) - 32) * 100);
  return encodeWav({ encoding: 'pcm16', rate, channels }, new Uint8Array(samples.buffer));
}

/** A module with one function, made without the package. */
export function handlerModule(name: string): string {
  return `export const tool = {
  definition: { name: ${JSON.stringify(name)}, description: 'For a test.', parameters: { type: 'object', properties: {} } },
  timeoutMs: 1000,
  cancelOnInterrupt: false,
  fillerAfterMs: undefined,
  maxResultChars: 1000,
  redact: [],
  check: (args) => ({ ok: true, args }),
  run: () => ({ ok: true }),
};
`;
}

/** A secret of a webhook; the same one every time. */
export const HOOK_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
