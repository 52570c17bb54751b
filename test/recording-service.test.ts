import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { readCall, type StoredCall } from '../src/recording/stored-call.ts';
import { tellDifference } from '../src/replay/compare.ts';
import { replay } from '../src/replay/replay.ts';
import { createBridge } from '../src/server.ts';
import { startExchange } from '../src/sim/phone.ts';
import { HOOK_SECRET, makeFolder } from './support/agents-folder.ts';
import {
  type AgentsService,
  CALLER,
  NUMBER,
  PATIENT,
  speak,
  startService as start,
} from './support/agents-service.ts';
import { STYLES } from './support/carrier-styles.ts';
import { answering, hookReceiver } from './support/hook-receiver.ts';
import { says } from './support/scripted-model.ts';

/** The whole service, and what it keeps of its calls. */

function agents(recording: string, more = ''): string {
  return `
${more}
agents:
  plain: { greeting: Hello., silence: false }
  kept: { greeting: Hello., silence: false${recording === '' ? '' : `, recording: ${recording}`} }
numbers:
  - { number: "${NUMBER}", agent: kept }
  - { number: "*", agent: plain }
`;
}

function folderOf(on: AgentsService): string {
  return join(on.folder.path, 'data', 'recordings');
}

/** What lies in the folder after the end of the service, by name. */
async function recordings(on: AgentsService): Promise<ReadonlyMap<string, StoredCall>> {
  await on.bridge.close();
  const folder = folderOf(on);
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  const stored = await Promise.all(
    names.map(async (name) => [name, await readCall(join(folder, name))] as const),
  );
  return new Map(stored);
}

async function only(on: AgentsService): Promise<{ readonly name: string; readonly stored: StoredCall }> {
  const all = [...(await recordings(on))];
  expect(all).toHaveLength(1);
  const [first] = all;
  if (first === undefined) throw new Error('nothing was recorded');
  return { name: first[0], stored: first[1] };
}

/** A call in which both speak. */
async function talk(on: AgentsService, options: Parameters<AgentsService['dial']>[0] = {}): Promise<string> {
  const call = await on.connected(options);
  await on.says('Hello.');
  await speak(call);
  await on.event('transcript', ({ role, callId }) => role === 'user' && callId === call.callId);
  await call.untilQuiet(200);
  await call.hangUp();
  await on.event('ended', ({ callId }) => callId === call.callId);
  return call.callId;
}

/** The bridge does the same again when the same comes in. */
async function expectSameAgain(stored: StoredCall): Promise<void> {
  const { differences, unfed, found } = await replay(stored);
  expect(differences.slice(0, 1).map((one) => tellDifference(one, stored, found))).toEqual([]);
  expect(unfed).toEqual([]);
}

/** A call of which only matters that there was one. */
async function ring(on: AgentsService, options: Parameters<AgentsService['dial']>[0] = {}): Promise<void> {
  const call = await on.connected(options);
  await call.hangUp();
  await on.event('ended', ({ callId }) => callId === call.callId);
}

const HEARD = { hear: () => ({ transcript: 'Call me at +14155550177 please.' }) };

describe('a service that nobody has told to record', () => {
  it('records nothing and makes no folder', async () => {
    const on = await start({ agents: agents(''), openai: HEARD });
    await talk(on);
    expect((await recordings(on)).size).toBe(0);
    expect(existsSync(folderOf(on))).toBe(false);
    expect(on.log.filter(({ msg }) => msg.includes('recording'))).toEqual([]);
  });
});

describe.each(STYLES)('an agent that is recorded by the service, at $name', (style) => {
  it('has everything of a call in its folder', async () => {
    const on = await start({
      agents: agents('bridge'),
      styles: [style],
      openai: HEARD,
      model: [says('Hello.'), says('I will.')],
    });
    const callId = await talk(on);
    const began = await on.logged('a recording has begun');
    const metrics = await on.metrics();
    expect(metrics).toContain('patchcord_recordings_active 1');
    const { name, stored } = await only(on);
    expect(began).toMatchObject({ recording: name, callId });
    expect(on.lines('a recording is over')).toMatchObject([
      { recording: name, outcome: 'complete', kept: true },
    ]);
    expect(stored.damage).toEqual([]);
    await expectSameAgain(stored);
    const { call, lines, wavs } = stored;
    expect(call).toMatchObject({
      carrier: style.carrier,
      direction: 'inbound',
      agent: { name: 'kept' },
      end: { complete: true },
      providers: [{ name: 'openai', level: 'wire' }],
    });
    expect(lines[0]).toMatchObject({ t: 0, on: 'webhook', dir: 'in' });
    const edges = new Set(lines.map(({ on: edge, dir }) => `${edge} ${dir}`));
    for (const edge of [
      'webhook out',
      'carrier in',
      'carrier out',
      'provider in',
      'provider out',
      'call out',
    ])
      expect(edges).toContain(edge);
    expect([...wavs.keys()].sort()).toEqual(['agent', 'caller', 'provider', 'uplink']);
    for (const { bytes } of wavs.values()) expect(bytes.length).toBeGreaterThan(1000);
    const folder = join(folderOf(on), name);
    expect(readFileSync(join(folder, 'transcript.txt'), 'utf8')).toMatch(
      /Hello\.[\s\S]*Call me at \+14155550177/,
    );
    expect(statSync(join(folder, 'call.wav')).size).toBeGreaterThan(1000);
    // Neither the token of the account nor the key of the model.
    const all = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'latin1'));
    for (const secret of ['12345678901234567890123456789012', 'sk-simulated', 'operator'])
      expect(all.some((text) => text.includes(secret))).toBe(false);
  });
});

describe('who is recorded', () => {
  it('are the calls of agents that say so, and of no others', async () => {
    const on = await start({ agents: agents('bridge') });
    await ring(on);
    await ring(on, { to: '+15550100999' });
    const { stored } = await only(on);
    expect(stored.call.agent.name).toBe('kept');
  });

  it('are the calls of agents that do not say, when the service says so', async () => {
    const on = await start({
      agents: agents('off'),
      env: { RECORDING: 'bridge', OPENAI_MODEL: 'gpt-realtime-2.1' },
    });
    await ring(on);
    await ring(on, { to: '+15550100999' });
    const { stored } = await only(on);
    expect(stored.call.agent.name).toBe('plain');
    expect(stored.call.settings).toMatchObject({
      OPENAI_MODEL: 'gpt-realtime-2.1',
      OPENAI_API_KEY: '[secret]',
      PUBLIC_URL: on.url,
    });
  });

  it('is said by both the carrier and the service', async () => {
    const on = await start({ agents: agents('both') });
    const call = await on.connected();
    await call.next('rest', ({ operation }) => /record/i.test(operation));
    await call.hangUp();
    await on.event('ended');
    const { stored } = await only(on);
    expect(stored.lines.some((line) => line.on === 'rest' && line.dir === 'out')).toBe(true);
  });

  it('may change with the agents file, and calls that are up go on as they began', async () => {
    const on = await start({ agents: agents('') });
    const before = await on.connected();
    await on.rewrite(agents('bridge'));
    await ring(on);
    await on.rewrite(agents('off'));
    await ring(on);
    await before.hangUp();
    expect((await recordings(on)).size).toBe(1);
  });

  it('is not a matter of agents whose file wants what cannot be written: it is refused', async () => {
    const on = await start({ agents: agents('') });
    writeFileSync(folderOf(on), 'no folder');
    await on.rewrite(agents('bridge'), 'broken');
    expect(JSON.stringify(on.lines('the agents file has changed'))).toContain('RECORDINGS_DIR');
    await ring(on);
    await on.bridge.close();
  });
});

describe('a single call', () => {
  it('is recorded because whoever placed it wants that, and operators are told where', async () => {
    const on = await start({ agents: agents('') });
    const order = { from: NUMBER, to: CALLER, recording: 'bridge' };
    const { status, body } = await on.api('POST', '/calls', order);
    expect([status, body]).toMatchObject([201, { agent: 'kept' }]);
    await on.event('providerReady');
    const shown = await on.api('GET', `/calls/${String(body['id'])}`);
    expect(shown.body).toMatchObject({ status: 'in-progress', recordingFolder: expect.any(String) });
    await (await on.exchange.nextDialled()).hangUp();
    await on.event('ended');
    const { name, stored } = await only(on);
    expect(shown.body['recordingFolder']).toBe(name);
    expect(stored.call).toMatchObject({
      direction: 'outbound',
      placed: { ref: body['id'], from: NUMBER, to: CALLER },
    });
    expect(stored.lines[0]).toMatchObject({ t: 0, on: 'webhook' });
    // A service that had not placed it would let nobody in.
    await expectSameAgain(stored);
  });

  it('is not recorded because whoever placed it does not want that', async () => {
    const on = await start({ agents: agents('bridge') });
    const { body } = await on.api('POST', '/calls', { from: NUMBER, to: CALLER, recording: 'off' });
    await on.event('providerReady');
    const shown = await on.api('GET', `/calls/${String(body['id'])}`);
    expect(shown.body).not.toHaveProperty('recordingFolder');
    await (await on.exchange.nextDialled()).hangUp();
    await on.event('ended');
    expect((await recordings(on)).size).toBe(0);
  });

  it('is not even placed when it is to be recorded and cannot be', async () => {
    const on = await start({ agents: agents('') });
    writeFileSync(folderOf(on), 'no folder');
    const { status, body } = await on.api('POST', '/calls', { from: NUMBER, to: CALLER, recording: 'both' });
    expect(status).toBeGreaterThanOrEqual(500);
    expect(JSON.stringify(body)).toContain('RECORDINGS_DIR');
  });

  it('is recorded, from its first webhook on, because the start webhook says so; its report names the folder', async () => {
    const asked = await hookReceiver(answering(200, { recording: 'bridge' }));
    const told = await hookReceiver(answering(200));
    const hooks = `webhooks:
  start: { url: "${asked.url}", secret: ${HOOK_SECRET} }
  end: { url: "${told.url}", secret: ${HOOK_SECRET} }
`;
    const on = await start({ agents: agents('', hooks) });
    await talk(on);
    const report = JSON.parse((await told.nth(1)).body);
    const { name, stored } = await only(on);
    expect(report.data).toMatchObject({ recording: null, recordingFolder: name });
    // Also what it took to ask.
    await expectSameAgain(stored);
    expect(stored.damage).toEqual([]);
    expect(stored.lines[0]).toMatchObject({ t: 0, on: 'webhook', dir: 'in' });
  });
});

describe('what is redacted', () => {
  it('is not in the folder, whatever else is', async () => {
    const rules =
      '{ by: bridge, redact: { numbers: true, fields: [room], speech: caller, words: true, keys: true } }';
    const on = await start({
      agents: agents(rules),
      openai: HEARD,
      model: [says('Hello.'), says('Splendid weather.')],
    });
    await talk(on);
    const { name, stored } = await only(on);
    expect(stored.damage).toEqual([]);
    await expectSameAgain(stored);
    expect(stored.call.redacted).toMatchObject({
      numbers: true,
      fields: ['room'],
      speech: 'caller',
      words: true,
    });
    const folder = join(folderOf(on), name);
    for (const file of readdirSync(folder)) {
      const text = readFileSync(join(folder, file), 'latin1');
      for (const planted of [NUMBER, CALLER, NUMBER.slice(1), '4155550177', 'Splendid', 'Call me at'])
        expect([file, text.includes(planted)]).toEqual([file, false]);
    }
  });
});

describe('the settings of a service', () => {
  it('say how old recordings become, which begins when it starts', async () => {
    const old = '20200101T000000Z-abcdefghijkl';
    const call = { format: 1, origin: { how: 'recorded' } };
    const files = { [`data/recordings/${old}/call.json`]: JSON.stringify(call) };
    const kept = await start({ agents: agents('bridge'), files, env: { RECORDINGS_MAX_DAYS: '0' } });
    await kept.bridge.close();
    expect(existsSync(join(folderOf(kept), old))).toBe(true);
    const on = await start({ agents: agents('bridge'), files });
    await expect.poll(() => existsSync(join(folderOf(on), old)), PATIENT).toBe(false);
    await expect.poll(() => on.metrics(), PATIENT).toContain('recordings_removed_total{why="age"} 1');
    await on.bridge.close();
  });

  it('say how much has to be free on the disk: what is not recorded goes on all the same', async () => {
    const env = { RECORDINGS_MIN_FREE_GB: '1000000' };
    const on = await start({ agents: agents('bridge'), env, openai: HEARD, model: [says('Hello.')] });
    await talk(on);
    expect(await on.logged('a recording has ended before its call')).toMatchObject({ why: 'disk-full' });
    await expect.poll(() => on.metrics(), PATIENT).toMatch(/patchcord_recordings_total\{\w+="disk-full"\} 1/);
    expect((await recordings(on)).size).toBe(0);
  });

  it('hold keys that are in no recording, whoever says them', async () => {
    const on = await start({
      agents: agents('bridge'),
      openai: { hear: () => ({ transcript: 'My key is sk-simulated, and operator-of-all is the token.' }) },
      model: [says('Hello.')],
      env: { API_TOKEN: 'operator-of-all' },
    });
    await talk(on);
    const { name, stored } = await only(on);
    expect(JSON.stringify(stored.lines)).toContain('My key is [secret], and [secret] is the token.');
    const folder = join(folderOf(on), name);
    for (const file of readdirSync(folder)) {
      const text = readFileSync(join(folder, file), 'latin1');
      expect([file, /sk-simulated|operator-of-all/.test(text)]).toEqual([file, false]);
    }
  });
});

describe('the line check', () => {
  it('is recorded without an agents file, by what its session was told and has told', async () => {
    using folder = makeFolder({});
    await using exchange = await startExchange({ carrier: 'twilio' });
    const bridge = await createBridge({
      config: loadConfig({ PORT: '0', HOST: '127.0.0.1', RECORDING: 'bridge', DATA_DIR: folder.at('data') }),
      log: createLog('silent'),
    });
    const url = await bridge.listen();
    const call = exchange.placeCall({
      webhookUrl: `${url}/voice/twilio`,
      from: CALLER,
      to: NUMBER,
      authToken: bridge.localAuthToken ?? '',
    });
    await call.untilHeard(500);
    await call.hangUp();
    await expect.poll(() => bridge.calls, PATIENT).toBe(0);
    await bridge.close();
    const [name, ...others] = readdirSync(folder.at('data/recordings'));
    expect(others).toEqual([]);
    const stored = await readCall(join(folder.at('data/recordings'), name ?? ''));
    expect(stored.damage).toEqual([]);
    expect(stored.call).toMatchObject({
      origin: { how: 'simulated' },
      providers: [{ name: 'local', level: 'session' }],
      end: { complete: true },
    });
    await expectSameAgain(stored);
    expect(stored.wavs.get('agent')?.bytes.length).toBeGreaterThan(1000);
  });

  it('does not start when what it has to record cannot be written', async () => {
    using folder = makeFolder({ recordings: 'a file' });
    const config = loadConfig({ RECORDING: 'both', RECORDINGS_DIR: folder.at('recordings') });
    await expect(createBridge({ config, log: createLog('silent') })).rejects.toThrow(/RECORDINGS_DIR/);
  });
});
