import { writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { BridgeError } from '../errors.ts';
import { inspectPage, megabytes, type Page } from '../inspect/page.ts';
import { plain } from '../inspect/plain.ts';
import { readCall } from '../recording/stored-call.ts';
import { type Command, readArguments, wholeNumber } from './command.ts';

const DEFAULT_MAX_MB = 100;
const SHOWN_FINDINGS = 8;

export const inspect: Command = {
  name: 'inspect',
  help: `patchcord inspect FOLDER [--out PAGE.html] [--no-audio] [--max-mb N]

Writes one HTML page that shows the call in FOLDER: what the caller said and heard on one time line, turns, functions,
marks, clears, providers, latencies, and all events. The page needs no network and can be sent to others, with the
call's sound in it. Prints what stands out, and where the page is.

  --out PAGE.html   where to write it (default: FOLDER's name with .html, in the current folder)
  --no-audio        leaves the sound out; the waveforms stay
  --max-mb N        leaves the sound out where it would take more than N MB of the page (default ${DEFAULT_MAX_MB})
`,
  async run(argv, terminal) {
    const { values, positionals } = readArguments(
      argv,
      {
        out: { type: 'string' },
        'no-audio': { type: 'boolean', default: false },
        'max-mb': { type: 'string', default: String(DEFAULT_MAX_MB) },
      },
      true,
    );
    const [folder, ...more] = positionals;
    if (folder === undefined || more.length > 0)
      throw new BridgeError('BAD_INPUT', `found ${positionals.length} folders, wanted one`);
    const maxAudioBytes = wholeNumber('max-mb', values['max-mb'], 1, 1000) * 1_000_000;
    const page = inspectPage(await readCall(folder), { audio: !values['no-audio'], maxAudioBytes });
    const path = resolve(values.out ?? `${basename(resolve(folder))}.html`);
    await write(path, page.html);
    terminal.out(summary(page, path));
    return 0;
  },
};

async function write(path: string, html: string): Promise<void> {
  try {
    // As private as the recording that it holds.
    await writeFile(path, html, { mode: 0o600 });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BridgeError('BAD_INPUT', `--out: the page cannot be written: ${why}`, { cause });
  }
}

function summary({ html, story, audioBytes, silent }: Page, path: string): string {
  const found = story.findings.slice(0, SHOWN_FINDINGS).map(({ atMs, level, text }) => {
    return `  ${(atMs / 1000).toFixed(1).padStart(7)} s  ${level.padEnd(4)}  ${oneLine(text)}`;
  });
  const left = story.findings.length - found.length;
  const lines = [
    ...(found.length > 0 ? found : ['  nothing failed and nothing was slow']),
    ...(left > 0 ? [`  and ${left} more`] : []),
    `${path}  ${megabytes(Buffer.byteLength(html))}${silent === undefined ? `, ${megabytes(audioBytes)} of it sound` : `, without sound: ${silent}`}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** What providers and carriers said could hold anything that a terminal obeys, or a line of its own. */
function oneLine(text: string): string {
  return plain(text).replace(/\s+/g, ' ');
}
