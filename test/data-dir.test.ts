import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readAgentsFile } from '../src/agents-file.ts';
import { checkDataDir } from '../src/data-dir.ts';
import { createLog } from '../src/log.ts';
import { AgentsService } from './support/agents-service.ts';

const AGENTS = 'agents: { a: { instructions: You answer. } }\nnumbers: [{ number: "*", agent: a }]\n';
const PRICES = 'prices: { currency: USD, carriers: { twilio: { inboundPerMinute: 1 } } }\n';
const HOOK =
  '{ url: "https://hooks.example/end", secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" }';

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'data-dir-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** Log lines of the check of `name` in a folder. */
async function check(at: string, name: string, text = AGENTS): Promise<readonly string[]> {
  await writeFile(join(at, 'agents.yaml'), text);
  const file = await readAgentsFile(join(at, 'agents.yaml'), {});
  const lines: string[] = [];
  const log = createLog('debug', { write: (line: string) => void lines.push(line) });
  await checkDataDir({ log, folder: join(at, name), inside: ['spending', 'outbox'], file });
  return lines;
}

describe('the data folder', () => {
  it('is made for nobody else, and nothing is left in it', async () => {
    const at = await newFolder();
    expect(await check(at, 'deep/data')).toEqual([]);
    expect(await readdir(join(at, 'deep', 'data'))).toEqual([]);
    expect((await stat(join(at, 'deep', 'data'))).mode & 0o777).toBe(0o700);
  });

  it('that is there already stays as it is', async () => {
    const at = await newFolder();
    await mkdir(join(at, 'data', 'spending'), { recursive: true });
    await writeFile(join(at, 'data', 'notes.txt'), 'mine');
    expect(await check(at, 'data')).toEqual([]);
    expect(await readdir(join(at, 'data'), { recursive: true })).toEqual(['notes.txt', 'spending']);
  });

  it('that cannot be written is one error in the log when nothing has to be kept', async () => {
    const at = await newFolder();
    await writeFile(join(at, 'data'), '');
    for (const name of ['data', 'data/in']) {
      const lines = await check(at, name, `${AGENTS}${PRICES}`);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain('"level":50');
      expect(lines[0]).toContain('(DATA_DIR) cannot be written');
    }
  });

  it.each([
    ['budget.perDay', `${AGENTS}${PRICES}budget: { perDay: 5 }\n`],
    [
      'the budget of a number',
      `${AGENTS.replace('agent: a }', 'agent: a, budget: { perDay: 5 } }')}${PRICES}`,
    ],
    ['a webhook at the end', `${AGENTS}webhooks: { end: ${HOOK} }\n`],
    ['a webhook at the end', AGENTS.replace('answer. }', `answer., endWebhook: ${HOOK} }`)],
  ])('that cannot be written is a mistake where there is %s', async (use, text) => {
    const at = await newFolder();
    await writeFile(join(at, 'data'), '');
    await expect(check(at, 'data', text)).rejects.toThrow(`BAD_CONFIG: DATA_DIR: found a folder that cannot`);
    await expect(check(at, 'data', text)).rejects.toThrow(`because of ${use}`);
    expect(await check(at, 'other', text)).toEqual([]);
  });

  it('is looked into as far as an earlier run has made it', async () => {
    const at = await newFolder();
    await mkdir(join(at, 'data'));
    await writeFile(join(at, 'data', 'outbox'), '');
    expect(await check(at, 'data')).toHaveLength(1);
    expect(await readdir(join(at, 'data'))).toEqual(['outbox']);
  });

  it('that cannot be written keeps the service from starting, and a file that needs it from being used', async () => {
    // Nobody can make a folder there, not even root.
    const env = { DATA_DIR: '/proc/patchcord' };
    const needs = `${AGENTS}${PRICES}budget: { perDay: 5 }\n`;
    await expect(AgentsService.start({ agents: needs, env })).rejects.toThrow('BAD_CONFIG: DATA_DIR');
    const service = await AgentsService.start({ agents: AGENTS, env });
    onTestFinished(() => service[Symbol.asyncDispose]());
    expect(service.lines('the data folder (DATA_DIR) cannot be written')).toHaveLength(1);
    await service.rewrite(needs, 'broken');
    expect(JSON.stringify(service.lines('the agents file has changed'))).toContain('DATA_DIR');
  });
});
