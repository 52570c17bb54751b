import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rehearse, type Stage } from '../examples/booking/rehearsal.js';
import { resampleWhole } from '../src/audio/offline.ts';
import { readWav } from '../src/audio/wav.ts';
import { type OpenAiSimulator, startOpenAiSimulator } from '../src/sim/openai.ts';
import { startExchange } from '../src/sim/phone.ts';
import { answer, BookingService, speak } from './support/booking-service.ts';
import { occupy, rowsIn } from './support/booking-store.ts';
import { calls, says } from './support/scripted-model.ts';

const EXAMPLE = fileURLToPath(new URL('../examples/booking/', import.meta.url));

// The handler module is loaded once, and keeps to the file that it finds named then.
const folder = mkdtempSync(join(tmpdir(), 'patchcord-'));
const BOOKINGS = join(folder, 'bookings.db');
const AGENTS = join(EXAMPLE, 'agents.yaml');

beforeAll(() => {
  process.env['BOOKINGS_FILE'] = BOOKINGS;
});
afterAll(() => {
  delete process.env['BOOKINGS_FILE'];
  rmSync(folder, { recursive: true });
});

/** Half a second of tone for every text: what is said takes long enough without words. */
const HUMMING: Stage['createSpeechEngine'] = () => ({
  answered: 0,
  render: async () =>
    Int16Array.from({ length: 8000 }, (_, i) => 14_000 * Math.sin(i / 9) * Math.sin(i / 700)),
  restart: () => undefined,
  close: async () => undefined,
});

// Whole calls in real time: a machine that has more to do may take its time.
describe('the booking example', { timeout: 60_000 }, () => {
  it('plays from its agents file to the row and the recording, as its README says', async () => {
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
      { folder, agentsFile: AGENTS, out: (line) => lines.push(line) },
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

  it('asks for patience while its file is held up, and books then', async () => {
    const details = { date: '2026-12-04', time: '20:00', party_size: 2, name: 'Smith' };
    await using on = await BookingService.start({
      agentsFile: AGENTS,
      model: [
        calls('book_table', details),
        says('Is that right?'),
        calls('book_table', { ...details, confirmed: true }),
        (turn) => says(answer(turn)['booked'] === true ? 'It is booked.' : 'It is not booked.'),
      ],
    });
    const call = await on.connected({ from: '+15550100777' });
    await speak(call);
    await on.hears('Is that right?');
    const release = occupy(BOOKINGS);
    await speak(call);
    await on.hears('One moment, please.');
    await call.untilHeard(100);
    release();
    await on.hears('It is booked.');
    await call.hangUp();
    expect(rowsIn(BOOKINGS).filter(({ phone }) => phone === '+15550100777')).toMatchObject([
      {
        table: 'window',
        starts_at: '2026-12-04T20:00',
        party_size: 2,
        name: 'Smith',
        slots: 4,
        caller_left: 0,
      },
    ]);
  });

  it('puts callers through to the reception, who are told why', async () => {
    await using on = await BookingService.start({
      agentsFile: AGENTS,
      model: [
        {
          ...says('I put you through.'),
          toolCalls: [{ name: 'transfer_call', args: { destination: 'reception' } }],
        },
      ],
    });
    const call = await on.connected({ dialResult: { status: 'completed', durationMs: 500 } });
    await speak(call);
    await call.ended;
    expect((await on.event('ended')).reason).toBe('transferred');
    expect(new Set(call.eventsOf('leg').map(({ target }) => target))).toEqual(new Set(['+15550199']));
    expect(call.eventsOf('leg-told').map(({ text }) => text)).toEqual([
      'A guest of the restaurant’s telephone line would like to speak to you.',
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
