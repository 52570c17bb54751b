import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { LedgerTrouble } from '../src/cost/day-book.ts';
import { Ledger, type LedgerRules, type Spent } from '../src/cost/ledger.ts';
import { CallMeter } from '../src/cost/meter.ts';
import { moneyOf } from '../src/cost/money.ts';
import { Prices, pricesSchema } from '../src/cost/prices.ts';
import { createLog } from '../src/log.ts';
import type { Usage } from '../src/provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const A = '+15550100';
const B = '+15550101';
/** The clock of these tests begins at 03:04:05 UTC of this day. */
const TODAY = '2026-01-02';
const HOUR_MS = 3_600_000;

const folders: string[] = [];
const open: Ledger[] = [];

afterEach(async () => {
  for (const ledger of open.splice(0)) await ledger.close();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ledger-'));
  folders.push(folder);
  return folder;
}

/** The file of today. */
async function kept(folder: string): Promise<unknown> {
  return JSON.parse(await readFile(join(folder, `spending-${TODAY}.json`), 'utf8'));
}

function rules(over: Partial<LedgerRules> = {}): LedgerRules {
  return { currency: 'USD', timeZone: 'UTC', perDay: undefined, perNumber: () => undefined, ...over };
}

interface Opened {
  readonly ledger: Ledger;
  readonly clock: VirtualClock;
  readonly troubles: LedgerTrouble[];
  /** Log lines. */
  readonly lines: string[];
}

async function start(
  over: Partial<LedgerRules> = {},
  folder?: string,
  clock: VirtualClock = new VirtualClock(),
): Promise<Opened> {
  const troubles: LedgerTrouble[] = [];
  const lines: string[] = [];
  const ledger = await Ledger.open({
    clock,
    log: createLog('debug', { write: (line: string) => void lines.push(line) }),
    folder,
    rules: rules(over),
    count: (trouble) => troubles.push(trouble),
  });
  open.push(ledger);
  return { ledger, clock, troubles, lines };
}

/** A clock that somebody sets. */
class SetClock extends VirtualClock {
  shiftMs = 0;

  override epoch(): number {
    return super.epoch() + this.shiftMs;
  }
}

/** A meter with a price table that cannot tell what the call costs. */
class BrokenMeter extends CallMeter {
  override cost(): bigint {
    throw new RangeError('no');
  }
}

const TABLE = {
  currency: 'USD',
  providers: { openai: { perMillionTokens: { outputAudio: 100 } }, live: { perMinute: 0.06 } },
};

function meterOf(clock: VirtualClock, over: object = {}): CallMeter {
  return new CallMeter(clock, new Prices(pricesSchema.parse({ ...TABLE, ...over })));
}

/** Tokens for so many cents. */
function cents(count: number): { usage: Usage } {
  return {
    usage: {
      inputTextTokens: 0,
      inputAudioTokens: 0,
      cachedTextTokens: 0,
      cachedAudioTokens: 0,
      outputTextTokens: 0,
      outputAudioTokens: count * 100,
    },
  };
}

describe('the ledger', () => {
  it('lets calls begin until their number or the day is spent', async () => {
    const { ledger } = await start({ perDay: 3, perNumber: (number) => (number === A ? 1 : undefined) });
    ledger.add(A, moneyOf(0.999999999));
    expect(ledger.mayBegin(A)).toBe('yes');
    ledger.add(A, 1n);
    expect(ledger.mayBegin(A)).toBe('number-spent');
    expect(ledger.mayBegin(B)).toBe('yes');
    ledger.add(B, moneyOf(2));
    expect(ledger.mayBegin(A)).toBe('day-spent');
    expect(ledger.mayBegin(B)).toBe('day-spent');
  });

  it('has no limit where none is set', async () => {
    const { ledger } = await start();
    ledger.add(A, moneyOf(1_000_000));
    expect(ledger.mayBegin(A)).toBe('yes');
  });

  it('begins a new day at midnight of its time zone', async () => {
    const { ledger, clock } = await start({ perDay: 1, timeZone: 'America/New_York' });
    // There it is 22:04:05 of the day before.
    ledger.add(A, moneyOf(1));
    expect(ledger.spentToday().day).toBe('2026-01-01');
    clock.advance(HOUR_MS + 55 * 60_000 + 54_999);
    expect(ledger.mayBegin(A)).toBe('day-spent');
    clock.advance(1);
    expect(ledger.mayBegin(A)).toBe('yes');
    expect(ledger.spentToday()).toEqual({ day: TODAY, currency: 'USD', total: 0, numbers: new Map() });
  });

  it('puts down what a call costs as its meter grows, by events and by time', async () => {
    const { ledger, clock } = await start();
    const meter = meterOf(clock);
    const followed = ledger.follow(A, meter, () => undefined);
    meter.usage('openai', 'm', cents(7));
    expect(ledger.spentToday().total).toBe(0.07);
    meter.providerBegan('live', undefined);
    clock.advance(60_000);
    expect(ledger.spentToday().numbers).toEqual(new Map([[A, 0.13]]));
    followed.close();
    followed.close();
    meter.usage('openai', 'm', cents(7));
    clock.advance(60_000);
    expect(ledger.spentToday().total).toBe(0.13);
  });

  it('puts down the rest of a call when it is over', async () => {
    const { ledger, clock } = await start();
    const meter = meterOf(clock);
    const end = meter.providerBegan('live', undefined);
    const followed = ledger.follow(A, meter, () => undefined);
    clock.advance(4000);
    end();
    followed.close();
    expect(ledger.spentToday().total).toBe(0.004);
    expect(clock.pending).toBe(0);
  });

  it('tells live calls that a budget they fall under is spent, each once, and nobody else', async () => {
    const { ledger, clock } = await start({ perDay: 10, perNumber: (number) => (number === A ? 1 : 5) });
    const told: string[] = [];
    const meters = [A, A, B].map((number, index) => {
      const meter = meterOf(clock);
      ledger.follow(number, meter, (spent) => told.push(`${index} ${spent}`));
      return meter;
    });
    meters[0]?.usage('openai', 'm', cents(60));
    meters[1]?.usage('openai', 'm', cents(40));
    expect(told).toEqual([]);
    clock.advance(0);
    expect(told).toEqual(['0 number-spent', '1 number-spent']);
    meters[2]?.usage('openai', 'm', cents(850));
    meters[2]?.usage('openai', 'm', cents(100));
    clock.advance(60_000);
    expect(told).toEqual(['0 number-spent', '1 number-spent', '2 number-spent']);
  });

  it('does not tell a call that is over, and survives one that throws', async () => {
    const { ledger, clock, lines } = await start({ perDay: 1 });
    const told: Spent[] = [];
    const over = ledger.follow(A, meterOf(clock), (spent) => told.push(spent));
    ledger.follow(A, meterOf(clock), () => {
      throw new Error('no');
    });
    ledger.follow(B, meterOf(clock), (spent) => told.push(spent));
    ledger.add(A, moneyOf(1));
    over.close();
    clock.advance(0);
    expect(told).toEqual(['day-spent']);
    expect(lines.filter((line) => line.includes('could not be told'))).toHaveLength(1);
  });

  it('lets 50 calls at once spend little more than the budget of the day', async () => {
    const { ledger, clock } = await start({ perDay: 5 });
    let live = 0;
    for (let i = 0; i < 50; i++) {
      const meter = meterOf(clock);
      const end = meter.providerBegan('live', undefined);
      live += 1;
      const followed = ledger.follow(A, meter, () => {
        live -= 1;
        end();
        followed.close();
      });
    }
    clock.advance(99_999);
    expect(live).toBe(50);
    clock.advance(HOUR_MS);
    expect(live).toBe(0);
    // 50 calls cost 0.05 a second together, and time is looked at every 5 s.
    expect(ledger.spentToday().total).toBeGreaterThanOrEqual(5);
    expect(ledger.spentToday().total).toBeLessThanOrEqual(5.25);
    expect(ledger.mayBegin(A)).toBe('day-spent');
  });

  it('goes by other limits at once, without forgetting what was spent', async () => {
    const { ledger, clock } = await start({ perDay: 10 });
    const told: Spent[] = [];
    const meter = meterOf(clock);
    ledger.follow(A, meter, (spent) => told.push(spent));
    meter.usage('openai', 'm', cents(500));
    expect(ledger.mayBegin(B)).toBe('yes');
    ledger.configure(rules({ perDay: 4 }));
    expect(ledger.mayBegin(B)).toBe('day-spent');
    clock.advance(0);
    expect(told).toEqual(['day-spent']);
    ledger.configure(rules({ perDay: 6 }));
    expect(ledger.mayBegin(B)).toBe('yes');
    expect(ledger.spentToday().total).toBe(5);
  });

  it('begins at 0 again in another currency, says so, and does not mix in calls of the old one', async () => {
    const { ledger, clock, troubles, lines } = await start();
    const meter = meterOf(clock);
    ledger.follow(A, meter, () => undefined);
    meter.usage('openai', 'm', cents(500));
    ledger.configure(rules({ currency: 'EUR' }));
    expect(ledger.spentToday()).toMatchObject({ currency: 'EUR', total: 0 });
    expect(troubles).toEqual(['currency']);
    expect(lines.join('')).toContain('another currency');
    meter.usage('openai', 'm', cents(500));
    expect(ledger.spentToday().total).toBe(0);
    ledger.follow(A, meterOf(clock, { currency: 'EUR' }), () => undefined);
    ledger.add(A, moneyOf(2));
    expect(ledger.spentToday().total).toBe(2);
  });

  it('has nothing to say of another currency when nothing was spent', async () => {
    const { ledger, troubles } = await start();
    ledger.mayBegin(A);
    ledger.configure(rules({ currency: 'EUR' }));
    expect(ledger.spentToday()).toMatchObject({ currency: 'EUR', total: 0 });
    expect(troubles).toEqual([]);
  });

  it('goes on with all other calls when the cost of one cannot be told, and says so once', async () => {
    const { ledger, clock, lines } = await start({ perDay: 1 });
    const broken = new BrokenMeter(clock, new Prices(pricesSchema.parse(TABLE)));
    const call = ledger.follow(A, broken, () => undefined);
    const told: Spent[] = [];
    const meter = meterOf(clock);
    ledger.follow(B, meter, (spent) => told.push(spent));
    broken.usage('openai', 'm', cents(5));
    expect(ledger.mayBegin(A)).toBe('yes');
    meter.providerBegan('live', undefined);
    clock.advance(999_999);
    expect(told).toEqual([]);
    ledger.configure(rules({ perDay: 1 }));
    clock.advance(5_001);
    expect(told).toEqual(['day-spent']);
    call.close();
    expect(ledger.spentToday().numbers).toEqual(new Map([[B, 1.005]]));
    expect(lines.filter((line) => line.includes('cannot be told'))).toHaveLength(1);
  });

  it('is not stopped by reports of usage that cannot be true', async () => {
    const { ledger, clock } = await start({ perDay: 1 });
    const meter = meterOf(clock);
    ledger.follow(A, meter, () => undefined);
    for (let i = 0; i < 2; i++) meter.usage('live', undefined, { ...cents(1e300), seconds: 1e306 });
    clock.advance(60_000);
    expect(ledger.mayBegin(B)).toBe('yes');
  });

  it('asks once for the limit of a number, and looks at each call once, however many there are', async () => {
    let asked = 0;
    let priced = 0;
    class Watched extends CallMeter {
      override cost(): bigint {
        priced += 1;
        return super.cost();
      }
    }
    const perNumber = (): number => {
      asked += 1;
      return 1000;
    };
    const { ledger, clock } = await start({ perNumber, perDay: 1000 });
    for (let i = 0; i < 200; i++) {
      const meter = new Watched(clock, new Prices(pricesSchema.parse(TABLE)));
      meter.providerBegan('live', undefined);
      ledger.follow(`+1555${1000 + i}`, meter, () => undefined);
    }
    expect(asked).toBe(200);
    clock.advance(4_000);
    priced = 0;
    for (let i = 0; i < 10; i++) ledger.mayBegin('+15551007');
    expect(priced).toBe(200);
    ledger.mayBegin('+1777');
    expect(asked).toBe(201);
    clock.advance(60_000);
    expect(asked).toBe(201);
    expect(priced).toBe(200 + 12 * 200);
    expect(ledger.spentToday().total).toBe(12.8);
  });

  it('tells the calls of a number by the limit of another agents file', async () => {
    const { ledger, clock } = await start({ perNumber: () => 10 });
    const told: Spent[] = [];
    const meter = meterOf(clock);
    ledger.follow(A, meter, (spent) => told.push(spent));
    meter.usage('openai', 'm', cents(500));
    clock.advance(60_000);
    expect(told).toEqual([]);
    ledger.configure(rules({ perNumber: () => 5 }));
    clock.advance(0);
    expect(told).toEqual(['number-spent']);
    expect(ledger.mayBegin(A)).toBe('number-spent');
  });

  it('counts by pattern when there are too many numbers, and goes on with those that it knows', async () => {
    const { ledger } = await start({
      perNumber: () => 5,
      patternOf: (number) => (number.startsWith('sip:') ? 'sip:*' : number),
    });
    ledger.add(A, moneyOf(1));
    for (let i = 0; i < 3000; i++) ledger.add(`sip:${i}@x.example`, moneyOf(1));
    ledger.add(A, moneyOf(1));
    ledger.add(B, moneyOf(2));
    const { numbers, total } = ledger.spentToday();
    expect(total).toBe(3004);
    expect(numbers.size).toBe(1002);
    expect(numbers.get('sip:*')).toBe(2001);
    expect(numbers.get(A)).toBe(2);
    expect(numbers.get(B)).toBe(2);
    expect(ledger.mayBegin('sip:7@x.example')).toBe('yes');
    expect(ledger.mayBegin('sip:3001@x.example')).toBe('number-spent');
    expect(ledger.mayBegin('+1777')).toBe('yes');
  });

  it('keeps what was spent while a file without prices is in use', async () => {
    const { ledger } = await start();
    ledger.add(A, moneyOf(2));
    ledger.configure(rules({ currency: undefined }));
    ledger.configure(rules());
    expect(ledger.spentToday().total).toBe(2);
  });
});

describe('the ledger on disk', () => {
  it('finds after a restart what was spent before', async () => {
    const folder = await newFolder();
    const before = await start({}, folder);
    before.ledger.add(A, moneyOf(0.000000001));
    before.ledger.add(B, moneyOf(2));
    await before.ledger.close();
    expect(before.clock.pending).toBe(0);
    const after = await start({ perDay: 2.000000001 }, folder);
    expect(after.ledger.mayBegin(A)).toBe('day-spent');
    expect(after.ledger.spentToday().numbers).toEqual(
      new Map([
        [A, 0],
        [B, 2],
      ]),
    );
    after.ledger.configure(rules({ perDay: 2.000000002 }));
    expect(after.ledger.mayBegin(A)).toBe('yes');
  });

  it('writes one small file a day, some time after the first change, and leaves no draft', async () => {
    const folder = await newFolder();
    const { ledger, clock } = await start({}, join(folder, 'deep', 'down'));
    const inside = join(folder, 'deep', 'down');
    expect(ledger.mayBegin(A)).toBe('yes');
    await ledger.flush();
    ledger.add(A, moneyOf(1));
    clock.advance(1999);
    expect(await readdir(folder)).toEqual([]);
    ledger.add(A, moneyOf(0.5));
    clock.advance(1);
    await ledger.flush();
    expect(await readdir(inside)).toEqual([`spending-${TODAY}.json`]);
    expect(JSON.parse(await readFile(join(inside, `spending-${TODAY}.json`), 'utf8'))).toEqual({
      version: 1,
      day: TODAY,
      currency: 'USD',
      total: '1.500000000',
      numbers: { [A]: '1.500000000' },
    });
  });

  it('writes the end of a day also when the next one has begun', async () => {
    const folder = await newFolder();
    const { ledger, clock } = await start({}, folder);
    clock.advance(21 * HOUR_MS - 4 * 60_000 - 5_001);
    ledger.add(A, moneyOf(1));
    clock.advance(1);
    ledger.add(A, moneyOf(2));
    await ledger.flush();
    const total = async (day: string): Promise<unknown> =>
      JSON.parse(await readFile(join(folder, `spending-${day}.json`), 'utf8')).total;
    expect(await total(TODAY)).toBe('1.000000000');
    expect(await total('2026-01-03')).toBe('2.000000000');
  });

  it.each([
    ['half a file', `{"version":1,"day":"${TODAY}","total":"1.0`],
    ['nothing', ''],
    ['a list', '[]'],
    ['another version', JSON.stringify({ version: 2, day: TODAY, total: '1.000000000', numbers: {} })],
    ['another day', JSON.stringify({ version: 1, day: '2026-01-01', total: '1.000000000', numbers: {} })],
    ['amounts as numbers', JSON.stringify({ version: 1, day: TODAY, total: 1, numbers: {} })],
    [
      'an odd number',
      JSON.stringify({ version: 1, day: TODAY, total: '1.000000000', numbers: { [A]: 'x' } }),
    ],
    [
      'an odd currency',
      JSON.stringify({ version: 1, day: TODAY, currency: 5, total: '1.000000000', numbers: {} }),
    ],
  ])('begins at 0 when it finds %s, says so, and keeps what it found', async (_what, text) => {
    const folder = await newFolder();
    const file = `spending-${TODAY}.json`;
    await writeFile(join(folder, file), text);
    const { ledger, troubles, lines } = await start({ perDay: 1 }, folder);
    expect(troubles).toEqual(['unreadable']);
    expect(lines.join('')).toContain('cannot be read');
    expect(ledger.mayBegin(A)).toBe('yes');
    expect(await readFile(join(folder, `${file}.unreadable`), 'utf8')).toBe(text);
    ledger.add(A, moneyOf(1));
    await ledger.flush();
    expect(await readdir(folder)).toEqual([file, `${file}.unreadable`]);
  });

  it('tries again later when it cannot write, and loses nothing', async () => {
    const folder = await newFolder();
    const { ledger, clock, troubles } = await start({}, folder);
    // A folder where the file should be.
    const draft = join(folder, `spending-${TODAY}.json`);
    await mkdir(draft);
    ledger.add(A, moneyOf(1));
    await ledger.flush();
    expect(troubles).toEqual(['unwritable']);
    expect(clock.pending).toBe(1);
    expect(await readdir(folder)).toEqual([`spending-${TODAY}.json`]);
    await rm(draft, { recursive: true });
    clock.advance(30_000);
    await ledger.flush();
    expect(troubles).toEqual(['unwritable']);
    expect(await readdir(folder)).toEqual([`spending-${TODAY}.json`]);
  });

  it('does not begin with a folder that cannot be one', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, 'file'), '');
    await expect(start({}, join(folder, 'file', 'in'))).rejects.toThrow('BAD_CONFIG');
    await expect(start({}, join(folder, 'file'))).rejects.toThrow('BAD_CONFIG');
    expect(await readdir(folder)).toEqual(['file']);
  });

  it('removes days that are older than 35 days, and nothing else', async () => {
    const folder = await newFolder();
    const kept = ['notes.txt', 'spending-2025-11-28.json', 'spending-2026-01-01.json', 'spending-old.json'];
    const old = [
      'spending-2025-11-27.json',
      'spending-2024-12-31.json.unreadable',
      'spending-2025-01-01.json.tmp',
      'spending-2025-01-02.json.0b7ad3e4-3a15-4b0c-8e07-6a4c1d2e3f40.tmp',
    ];
    const text = JSON.stringify({ version: 1, day: '2026-01-01', total: '1.000000000', numbers: {} });
    for (const name of [...kept, ...old]) await writeFile(join(folder, name), text);
    const { ledger, clock } = await start({}, folder);
    expect((await readdir(folder)).sort()).toEqual(kept);
    clock.advance(24 * HOUR_MS);
    expect(ledger.mayBegin(A)).toBe('yes');
    await ledger.flush();
    expect((await readdir(folder)).sort()).toEqual(kept.filter((name) => !name.includes('11-28')));
  });

  it('finds the day again that it is in another time zone', async () => {
    const folder = await newFolder();
    const before = await start({ timeZone: 'America/New_York' }, folder);
    before.ledger.add(A, moneyOf(1));
    await before.ledger.close();
    const { ledger } = await start({ perDay: 1 }, folder);
    expect(ledger.mayBegin(A)).toBe('yes');
    ledger.configure(rules({ perDay: 1, timeZone: 'America/New_York' }));
    expect(ledger.mayBegin(A)).toBe('day-spent');
  });

  it('does not compare what was spent in another currency before a restart', async () => {
    const folder = await newFolder();
    const before = await start({}, folder);
    before.ledger.add(A, moneyOf(1));
    await before.ledger.close();
    const { ledger, troubles } = await start({ currency: 'EUR', perDay: 1 }, folder);
    expect(troubles).toEqual(['currency']);
    expect(ledger.mayBegin(A)).toBe('yes');
  });

  it('keeps the day when somebody sets the clock far ahead and back again', async () => {
    const folder = await newFolder();
    const clock = new SetClock();
    const { ledger } = await start({ perDay: 5 }, folder, clock);
    ledger.add(A, moneyOf(6));
    await ledger.flush();
    clock.shiftMs = 90 * 24 * HOUR_MS;
    expect(ledger.mayBegin(A)).toBe('yes');
    await ledger.flush();
    expect(await readdir(folder)).toEqual([`spending-${TODAY}.json`]);
    clock.shiftMs = 0;
    expect(ledger.mayBegin(A)).toBe('day-spent');
    ledger.add(A, moneyOf(0.01));
    await ledger.flush();
    expect(await kept(folder)).toMatchObject({ total: '6.010000000' });
  });

  it('still forgets old days when nothing happens for weeks', async () => {
    const folder = await newFolder();
    const { ledger, clock } = await start({}, folder);
    ledger.add(A, moneyOf(6));
    await ledger.flush();
    clock.advance(36 * 24 * HOUR_MS);
    expect(ledger.mayBegin(A)).toBe('yes');
    await ledger.flush();
    expect(await readdir(folder)).toEqual([]);
  });

  it('reads what is on disk of a day to which the clock was set', async () => {
    const folder = await newFolder();
    const clock = new SetClock();
    clock.shiftMs = 10 * 24 * HOUR_MS;
    const before = await start({}, folder);
    before.ledger.add(A, moneyOf(6));
    await before.ledger.close();
    const { ledger } = await start({ perDay: 5 }, folder, clock);
    clock.shiftMs = 0;
    ledger.add(B, moneyOf(1));
    await ledger.flush();
    expect(ledger.spentToday()).toMatchObject({ day: TODAY, total: 7 });
    expect(ledger.mayBegin(A)).toBe('day-spent');
    expect(await kept(folder)).toMatchObject({ total: '7.000000000' });
  });

  it('lets nobody else look into what it keeps', async () => {
    const folder = join(await newFolder(), 'data', 'spending');
    const { ledger } = await start({}, folder);
    ledger.add(A, moneyOf(1));
    await ledger.flush();
    const modes = await Promise.all(
      [join(folder, '..'), folder, join(folder, `spending-${TODAY}.json`)].map(
        async (path) => (await stat(path)).mode & 0o777,
      ),
    );
    expect(modes).toEqual([0o700, 0o700, 0o600]);
  });

  it('adds up with another process that shares the folder for a while', async () => {
    const folder = await newFolder();
    const old = await start({ perDay: 5 }, folder);
    old.ledger.add(A, moneyOf(1));
    await old.ledger.flush();
    const next = await start({ perDay: 5 }, folder);
    const told: Spent[] = [];
    next.ledger.follow(B, meterOf(next.clock), (spent) => told.push(spent));
    old.ledger.add(A, moneyOf(2.5));
    await old.ledger.flush();
    expect(next.ledger.spentToday().total).toBe(1);
    next.ledger.add(B, moneyOf(0.5));
    await next.ledger.flush();
    expect(next.ledger.spentToday().numbers).toEqual(
      new Map([
        [A, 3.5],
        [B, 0.5],
      ]),
    );
    old.ledger.add(A, moneyOf(1));
    await old.ledger.close();
    next.ledger.add(B, 1n);
    await next.ledger.flush();
    next.clock.advance(0);
    expect(told).toEqual(['day-spent']);
    expect(next.ledger.mayBegin(A)).toBe('day-spent');
    expect(await kept(folder)).toMatchObject({
      total: '5.000000001',
      numbers: { [A]: '4.500000000', [B]: '0.500000001' },
    });
    expect(await readdir(folder)).toHaveLength(1);
  });

  it('does not take less for what was spent when its file is taken away, or is broken later', async () => {
    const folder = await newFolder();
    const { ledger, troubles } = await start({}, folder);
    const file = join(folder, `spending-${TODAY}.json`);
    ledger.add(A, moneyOf(1));
    await ledger.flush();
    await rm(file);
    ledger.add(A, moneyOf(1));
    await ledger.flush();
    expect(await kept(folder)).toMatchObject({ total: '2.000000000', numbers: { [A]: '2.000000000' } });
    await writeFile(file, '{');
    ledger.add(B, moneyOf(1));
    await ledger.flush();
    expect(await kept(folder)).toMatchObject({ total: '3.000000000', numbers: { [A]: '2.000000000' } });
    expect(troubles).toEqual(['unreadable']);
  });

  it('loses nothing that is put down while it writes', async () => {
    const folder = await newFolder();
    const { ledger } = await start({}, folder);
    ledger.add(A, moneyOf(1));
    const writing = ledger.flush();
    ledger.add(A, moneyOf(1));
    await writing;
    expect(ledger.spentToday().total).toBe(2);
    await ledger.flush();
    expect(await kept(folder)).toMatchObject({ total: '2.000000000' });
  });
});
