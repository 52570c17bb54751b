import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { LIMITS, lintFolder } from '../src/commands/fixture/lint.ts';
import { whereTheyDiffer } from '../src/commands/fixture/make.ts';
import { LINE_PLACES, PLAYED, parseScenario, type Scenario } from '../src/commands/fixture/scenario.ts';
import { packageFile } from '../src/package-file.ts';
import { readCall } from '../src/recording/stored-call.ts';
import { replay } from '../src/replay/replay.ts';
import { replayFixtures } from '../src/testing.ts';

/** The calls of this repository: each goes as it did, and each says what it is for. */

const FOLDER = packageFile('fixtures');
const NAMES = readdirSync(FOLDER).filter((name) => existsSync(join(FOLDER, name, 'call.json')));
/** All of them are read, on a machine that may be busy. */
const LONG = { timeout: 60_000 } as const;
const PAGE = readFileSync(join(FOLDER, 'README.md'), 'utf8');

/** Complaints of users that a bridge can get wrong, and what carriers do now and then: as the README has them. */
const COMPLAINTS = Array.from({ length: 22 }, (_, i) => i + 1);
/** No edge of a call shows them. */
const NOT_SHOWN = [17];
const FAULTS = [
  'drop N ms of inbound frames but advance timestamps',
  'shuffle within 3 frames',
  'leg codec PCMA or G722',
  'duplicate and reorder webhooks',
  'stale timestamp 301 s',
  'bad signature',
  'omit stop',
  'close without close frame (1006)',
  'refuse upgrade and expect retry ×2',
  'never echo a mark',
  'echo marks late by 300 ms',
  'echo all on clear',
  'echo none on clear',
  'close ws in mid-response',
  'REST 404/422 on hang-up',
  'REST 429 then 200',
  'REST 5 s delay',
  'send unknown event',
  'send frame with number instead of string and vice versa',
  'start with missing optional fields / null from',
  'second start on a new socket for the same call',
  'DTMF burst',
  'expired path token',
  'call ended before upgrade',
  'media before start',
];

function scenarioOf(name: string): Scenario {
  const file = join(FOLDER, name, 'scenario.yaml');
  return parseScenario(file, readFileSync(file, 'utf8'));
}

const SCENARIOS: ReadonlyMap<string, Scenario> = new Map(NAMES.map((name) => [name, scenarioOf(name)]));

/** The calls that say that they show this. */
function showing(what: number | string): readonly string[] {
  return NAMES.filter((name) => SCENARIOS.get(name)?.covers.includes(what));
}

/** The last cell of the row of a table of the README that begins so. */
function cellOf(beginning: string): string | undefined {
  const row = PAGE.split('\n').find((line) => line.startsWith(`| ${beginning} |`));
  return row?.split('|').at(-2)?.trim();
}

describe('every call goes as it did:', () => {
  replayFixtures(FOLDER, { test });
});

describe('two replays', () => {
  it.each([
    'twilio-barge-in',
    'telnyx-failover-during-tool',
    'plivo-gemini-go-away',
    'telnyx-rest-slow',
    'telnyx-nova-function',
    'twilio-openai-live',
  ])('of %s are equal to the byte', LONG, async (name) => {
    const stored = await readCall(join(FOLDER, name));
    const [one, other] = [await replay(stored), await replay(stored)];
    expect(one.differences).toEqual([]);
    expect(whereTheyDiffer(one.found, other.found)).toBeUndefined();
  });
});

describe('what lies in the folder', () => {
  it('has nothing in it that must not be there', LONG, async () => {
    const results = await Promise.all(NAMES.map((name) => lintFolder(join(FOLDER, name))));
    const told = results.flatMap(({ folder, problems }) =>
      problems.map(({ place, text }) => `${folder} ${place}: ${text}`),
    );
    expect(told).toEqual([]);
    expect(results.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(LIMITS.inAll);
  });

  it('is what the scenario beside it makes', LONG, async () => {
    for (const [name, { proves, line }] of SCENARIOS) {
      const { call } = await readCall(join(FOLDER, name));
      expect([name, call.proves]).toEqual([name, proves.trim()]);
      const { carrier, control } = LINE_PLACES[line];
      expect([name, call.carrier, call.control]).toEqual([name, carrier, control]);
      expect(call.origin.command).toBe(`patchcord fixture new --scenario ${name}`);
    }
  });

  it('is of all carriers, in both styles, and of all providers that there are', () => {
    const lines = new Set([...SCENARIOS.values()].map(({ line }) => line));
    expect([...lines].toSorted()).toEqual(Object.keys(LINE_PLACES).toSorted());
    const played = new Set(
      [...SCENARIOS.values()].flatMap(({ providers }) => providers.map(({ name }) => name)),
    );
    expect([...played].toSorted()).toEqual([...PLAYED].toSorted());
  });
});

describe('the README of the calls', () => {
  it.each(COMPLAINTS)('names the calls that show complaint %i, or says why there is none', (complaint) => {
    const row = PAGE.split('\n').find((line) => line.startsWith(`| ${complaint} |`));
    const names = showing(complaint);
    if (NOT_SHOWN.includes(complaint)) expect(row).toMatch(/none: .{20,}/);
    else expect(names).not.toEqual([]);
    for (const name of names) expect(row).toContain(`[${name}](${name})`);
  });

  it.each(FAULTS)('names the calls in which this happens: %s', (fault) => {
    const names = showing(fault);
    expect(names).not.toEqual([]);
    for (const name of names) expect(cellOf(fault)).toContain(`[${name}](${name})`);
  });

  it('has no word for a fault that no row has', () => {
    const words = [...SCENARIOS.values()]
      .flatMap(({ covers }) => covers)
      .filter((one) => typeof one === 'string');
    expect(words.filter((word) => !FAULTS.includes(word))).toEqual([]);
  });

  it('tells what each call proves, and of no call that is not there', () => {
    for (const [name, { proves }] of SCENARIOS) {
      expect(cellOf(`[${name}](${name})`)).toBe(proves.trim().replace(/\s+/g, ' '));
    }
    const linked = [...PAGE.matchAll(/\]\(([a-z0-9-]+)\)/g)].map((match) => match[1]);
    expect(linked.filter((name) => name !== undefined && !NAMES.includes(name))).toEqual([]);
  });
});
