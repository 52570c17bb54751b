import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { AudioFormat, Rate } from '../audio/format.ts';
import { RATES } from '../audio/format.ts';
import { encodeWav, readWav } from '../audio/wav.ts';
import { BridgeError } from '../errors.ts';
import { redactCall, stereoNoise } from '../recording/redact.ts';
import { isWavName } from '../recording/sink.ts';
import { readCall, type StoredCall, writeCall } from '../recording/stored-call.ts';
import { transcriptOf } from '../recording/transcript-file.ts';
import { NOISED, type RecordingRedaction } from '../recording-terms.ts';
import { type Command, readArguments, type Terminal } from './command.ts';

const HELP = `patchcord redact FOLDER [options]: takes out of a recording, or a fixture, what others are not to know

  --numbers          telephone numbers, wherever they stand, become fictitious ones of the same length, and callers'
                     names are covered
  --field NAME       what fields of this name hold, at any depth, in messages, forms, parameters and functions'
                     arguments and results, and wherever else that stands; may be given more than once
  --speech WHOSE     the speech of the caller, the agent or both becomes noise of the same length
  --words            what was said, wherever it is written down, becomes ▒▒▒▒
  --keys             keys that were pressed become 0
  --out FOLDER       write the result there; otherwise it takes the place of the recording

What was taken out is gone: it cannot be brought back. Structure, lengths and references stay as they were.
Exit status: 0 done, 1 the folder cannot be read or written, 2 called wrongly.
`;

const OPTIONS = {
  numbers: { type: 'boolean' },
  field: { type: 'string', multiple: true },
  speech: { type: 'string' },
  words: { type: 'boolean' },
  keys: { type: 'boolean' },
  out: { type: 'string' },
} as const;

/** What belongs to a call beside its WAVs of messages. */
const OWN_FILES: ReadonlySet<string> = new Set(['call.json', 'events.jsonl', 'call.wav', 'transcript.txt']);

export const redact: Command = {
  name: 'redact',
  help: HELP,
  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = readArguments(argv, OPTIONS, true);
    const [folder, ...others] = positionals;
    if (folder === undefined || others.length > 0) {
      throw new BridgeError(
        'BAD_INPUT',
        `found ${positionals.length} folders, wanted the one of a recording`,
      );
    }
    const rules: RecordingRedaction = {
      numbers: values.numbers ?? false,
      fields: values.field ?? [],
      speech: speechOf(values.speech),
      words: values.words ?? false,
      keys: values.keys ?? false,
    };
    if (
      !(rules.numbers || rules.words || rules.keys) &&
      rules.fields.length === 0 &&
      rules.speech === 'none'
    ) {
      throw new BridgeError(
        'BAD_INPUT',
        'found nothing to take out, wanted --numbers, --field, --speech, --words or --keys',
      );
    }
    const from = await realpath(folder).catch(() => resolve(folder));
    const to = values.out === undefined ? from : resolve(values.out);
    await redactFolder(from, to, rules, terminal);
    return 0;
  },
};

function speechOf(text: string | undefined): RecordingRedaction['speech'] {
  if (text === undefined) return 'none';
  const known = NOISED.find((one) => one === text);
  if (known !== undefined) return known;
  throw new BridgeError('BAD_INPUT', `--speech: found ${JSON.stringify(text)}, wanted caller, agent or both`);
}

async function redactFolder(
  from: string,
  to: string,
  rules: RecordingRedaction,
  terminal: Terminal,
): Promise<void> {
  const stored = await readCall(from);
  const strange = (await readdir(from)).filter((name) => !isOwn(name));
  if (strange.length > 0 && from === to) {
    const count = strange.length === 1 ? 'a file that is' : `${strange.length} files that are`;
    throw new BridgeError(
      'BAD_INPUT',
      `${basename(from)}: found ${count} no part of a call (${strange[0]}), wanted none, or --out`,
    );
  }
  if (from !== to) await assertFree(to);
  const redacted = redactCall(stored, rules);
  const draft = join(dirname(to), `.${basename(to)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await mkdir(draft, { mode: (await stat(from)).mode & 0o777 });
    await writeCall(draft, redacted);
    await writeBeside(from, draft, redacted, rules);
    await exchange(draft, to);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
  const changed = redacted.lines.filter((line, at) => line !== stored.lines[at]).length;
  terminal.out(`${to}: ${changed} of ${stored.lines.length} lines are not what they were\n`);
  if (strange.length > 0) {
    const what = strange.length === 1 ? 'a file was' : `${strange.length} files were`;
    terminal.out(`${what} left behind, being no part of a call: ${strange.join(', ')}\n`);
  }
}

function isOwn(name: string): boolean {
  return OWN_FILES.has(name) || (name.endsWith('.wav') && isWavName(name.slice(0, -4)));
}

async function assertFree(folder: string): Promise<void> {
  const found = await readdir(folder).catch(() => undefined);
  if (found === undefined || found.length === 0) return;
  throw new BridgeError(
    'BAD_INPUT',
    `--out: found ${found.length} files in the folder, wanted one that is empty or not there`,
  );
}

/** What can be listened to and read: made anew. */
async function writeBeside(
  from: string,
  to: string,
  redacted: StoredCall,
  rules: RecordingRedaction,
): Promise<void> {
  const mode = 0o600;
  const files = new Set(await readdir(from));
  if (files.has('transcript.txt'))
    await writeFile(join(to, 'transcript.txt'), transcriptOf(redacted), { mode });
  if (!files.has('call.wav')) return;
  const bytes = await readFile(join(from, 'call.wav'));
  await writeFile(join(to, 'call.wav'), rules.speech === 'none' ? bytes : noised(bytes, rules), { mode });
}

function noised(bytes: Uint8Array, rules: RecordingRedaction): Uint8Array {
  const wav = readWav(bytes);
  const rate: Rate | undefined = RATES.find((one) => one === wav.rate);
  if (rate === undefined || wav.channels !== 2) {
    throw new BridgeError(
      'BAD_RECORDING',
      `call.wav: found ${wav.channels} channels at ${wav.rate} Hz, wanted 2 at ${RATES.join(', ')}`,
    );
  }
  const format: AudioFormat = { encoding: wav.encoding, rate };
  return encodeWav(wav, stereoNoise(format, rules).push(wav.data));
}

/** A folder takes the place of another, or the other stays as it was. */
async function exchange(draft: string, to: string): Promise<void> {
  const old = `${draft}.old`;
  const was = await rename(to, old).then(
    () => true,
    () => false,
  );
  try {
    await rename(draft, to);
  } catch (error) {
    if (was) await rename(old, to);
    throw error;
  }
  if (was) await rm(old, { recursive: true, force: true });
}
