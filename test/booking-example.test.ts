import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { rehearse, type Stage } from '../examples/booking/rehearsal.js';
import { resampleWhole } from '../src/audio/offline.ts';
import { readWav } from '../src/audio/wav.ts';
import { type OpenAiSimulator, startOpenAiSimulator } from '../src/sim/openai.ts';
import { startExchange } from '../src/sim/phone.ts';

const EXAMPLE = fileURLToPath(new URL('../examples/booking/', import.meta.url));

const folders: string[] = [];
afterEach(() => {
  delete process.env['BOOKINGS_FILE'];
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** Half a second of tone for every text: what is said takes long enough without words. */
const HUMMING: Stage['createSpeechEngine'] = () => ({
  answered: 0,
  render: async () =>
    Int16Array.from({ length: 8000 }, (_, i) => 14_000 * Math.sin(i / 9) * Math.sin(i / 700)),
  restart: () => undefined,
  close: async () => undefined,
});

describe('the booking example', () => {
  it('plays from its agents file to the row and the recording, as its README says', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'patchcord-'));
    folders.push(folder);
    const simulators: OpenAiSimulator[] = [];
    const lines: string[] = [];
    const rows = await rehearse(
      {
        startExchange,
        createSpeechEngine: HUMMING,
        resampleWhole,
        startOpenAiSimulator: async (options) => {
          const simulator = await startOpenAiSimulator(options);
          simulators.push(simulator);
          return simulator;
        },
      },
      { folder, agentsFile: join(EXAMPLE, 'agents.yaml'), out: (line) => lines.push(line) },
    );
    expect(rows).toEqual([
      {
        id: 1,
        starts_at: expect.stringMatching(/^20\d\d-\d\d-\d\dT19:30$/),
        party_size: 4,
        name: 'Miller',
        phone: '+15550100123',
        status: 'booked',
      },
    ]);
    const said = lines.join('\n');
    expect(said).toMatch(/agent {3}Hello, this is the Trattoria\. When would you like to come\?/);
    expect(said).toMatch(/book_table .*: done/);
    expect(said).toMatch(/agent {3}Your table is booked\..*Goodbye!/);
    // The name is in what was said, and in the row, and in no event.
    expect(lines.filter((line) => line.includes('book_table')).join()).not.toContain('Miller');
    const recording = readWav(readFileSync(join(folder, 'call.wav')));
    expect(recording.channel(1).some((sample) => Math.abs(sample) > 2000)).toBe(true);
    const session = simulators[0]?.connections[0]?.session;
    expect(session?.instructions).toMatch(/telephone of the Trattoria[\s\S]*number is \+15550100123/);
    expect(session?.tools.map(({ name }) => name)).toEqual([
      'find_table',
      'book_table',
      'cancel_booking',
      'end_call',
      'transfer_call',
    ]);
  });

  it.each(
    readdirSync(EXAMPLE, { recursive: true })
      .map(String)
      .filter((name) => name.endsWith('.js')),
  )('has nothing in %s that the oldest Node cannot read', (name) => {
    const { status, stderr } = spawnSync(process.execPath, ['--check', join(EXAMPLE, name)], {
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
  });

  it('says in its README what every file is for', () => {
    const readme = readFileSync(join(EXAMPLE, 'README.md'), 'utf8');
    const files = readdirSync(EXAMPLE, { recursive: true }).map(String);
    for (const file of files.filter((name) => /\.(js|yaml)$/.test(name)))
      expect(readme).toContain(`\`${file}\``);
  });
});
