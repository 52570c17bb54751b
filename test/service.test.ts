import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { dial } from '../src/commands/dial.ts';
import { HOOK_SECRET } from './support/agents-folder.ts';
import { AgentsService, CALLER, NUMBER, speak, startService as start } from './support/agents-service.ts';
import { STYLES, type Style } from './support/carrier-styles.ts';
import { calls, says } from './support/scripted-model.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** The whole service with an agents file: which call goes to whom, and what the model is told. */

function style(name: string): Style {
  const found = STYLES.find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no style ${name}`);
  return found;
}

const AGENTS = `
timeZone: Europe/Berlin
variables: { business: Trattoria, floor: ground, guest: "" }
agents:
  booking:
    instructions: |
      You take reservations for {{business}}, {{floor}} floor. It is {{weekday}}, {{date}}, {{time}}.
      The caller is {{caller}}, who calls {{callee}} by {{carrier}} ({{direction}}). You are {{agent}}. Guest: {{guest}}.
    greeting: Hello, {{business}}, {{floor}} floor!
    language: it
    voice: marin
    variables: { floor: first }
    turnDetection: { mode: server, threshold: 0.7, prefixMs: 200, silenceMs: 450 }
    providers:
      - { name: openai, model: gpt-realtime-test, voice: cedar, overrides: { max_output_tokens: 777 } }
    tools: [end_call]
    silence: false
  quiet:
    instructions: You answer at {{business}}.
    greeting: false
    turnDetection: { mode: semantic, eagerness: low }
    transcribeCaller: false
    audio: passthrough
    silence: false
  german:
    instructions: { file: prompts/german.md }
    silence: false
numbers:
  - { number: "+15550100200", agent: booking, variables: { floor: second } }
  - { number: "+1555*", carrier: plivo, agent: quiet }
  - { number: "+1555*", agent: quiet }
  - { number: "+49*", carrier: twilio, agent: german }
`;
const FILES = { 'prompts/german.md': 'Sie sind {{agent}} bei {{business}}.\n' };

describe('a call to a service with an agents file', () => {
  it('is answered by the agent of its number, as the file describes it', async () => {
    const on = await start({ agents: AGENTS, files: FILES });
    expect(on.bridge.agents).toEqual(['booking', 'quiet', 'german']);
    const call = await on.connected();
    const model = await on.session();
    expect(model.model).toBe('gpt-realtime-test');
    expect(model.session.instructions).toMatch(
      /^You take reservations for Trattoria, second floor\. It is [\p{L}]+, 20\d\d-\d\d-\d\d, \d\d:\d\d\.\nThe caller is \+15550100123, who calls \+15550100200 by twilio \(inbound\)\. You are booking\. Guest: \.\n\n\nThe language of this call is Italian \(it\)\.$/u,
    );
    const [update] = model.received;
    expect(update?.event['session']).toMatchObject({
      max_output_tokens: 777,
      audio: {
        input: {
          turn_detection: {
            type: 'server_vad',
            threshold: 0.7,
            prefix_padding_ms: 200,
            silence_duration_ms: 450,
          },
          transcription: { language: 'it' },
        },
        output: { voice: 'cedar' },
      },
    });
    expect(model.session.tools.map(({ name }) => name)).toEqual(['end_call']);
    await on.says('Hello, Trattoria, second floor!');
    await call.hangUp();
  });

  it.each([
    ['+15550100999', 'quiet'],
    ['15550100999', 'quiet'],
    ['15550100200', 'booking'],
    ['+15550100200', 'booking'],
    ['+4930123456', 'german'],
  ])('to %s goes to %s', async (to, agent) => {
    const on = await start({ agents: AGENTS, files: FILES });
    const call = await on.connected({ to });
    expect((await on.event('started')).agent).toBe(agent);
    await call.hangUp();
  });

  it('waits for a caller whom nobody greets, in the way the agent has it', async () => {
    const on = await start({ agents: AGENTS, files: FILES, model: [says('Good evening.')] });
    const call = await on.connected({ to: '+15550100999' });
    const model = await on.session();
    expect(model.received[0]?.event['session']).toMatchObject({
      audio: {
        input: {
          format: { type: 'audio/pcmu' },
          turn_detection: { type: 'semantic_vad', eagerness: 'low' },
        },
      },
    });
    expect(model.session.audio.input.transcription).toBeNull();
    await call.speak(new Int16Array(8 * 300).map((_, i) => 9000 * Math.sin(i * 0.35)));
    await on.says('Good evening.');
    expect(model.received.filter(({ event }) => event.type === 'response.create')).toEqual([]);
    await call.hangUp();
  });

  it('to a prefix goes to the agent that it has at this carrier', async () => {
    const agents = AGENTS.replace(
      '{ number: "+1555*", carrier: plivo, agent: quiet }',
      '{ number: "+1555*", carrier: plivo, agent: german }',
    );
    const [twilio, plivo] = [style('Twilio'), style('Plivo')];
    const on = await start({ agents, files: FILES, styles: [twilio, plivo] });
    const first = await on.connected({ to: '15550100999' }, plivo);
    const second = await on.connected({ to: '+15550100999' }, twilio);
    const agentOf = async (callId: string) =>
      (await on.event('started', (one) => one.callId === callId)).agent;
    expect(await agentOf(first.callId)).toBe('german');
    expect(await agentOf(second.callId)).toBe('quiet');
    const model = await on.session();
    expect(model.session.instructions).toBe('Sie sind german bei Trattoria.\n');
    await Promise.all([first.hangUp(), second.hangUp()]);
  });

  it.each(STYLES)(
    'is refused at $name when its number has no agent, and no number is in the log',
    async (one) => {
      const on = await start({
        agents: AGENTS.replaceAll('+49*", carrier: twilio', '+49*"'),
        files: FILES,
        styles: [one],
      });
      const report = await on.dial({ to: '+390612345678', from: '+15550100321' }).ended;
      expect(report.outcome).toBe('rejected');
      expect(report.streams).toEqual([]);
      const line = await on.logged('call refused: no agent takes calls of this number');
      expect(line['level']).toBe(50);
      expect(JSON.stringify(on.log)).not.toMatch(/390612345678|5550100321/);
      expect(on.openai.connections).toEqual([]);
      expect(on.bridge.calls).toBe(0);
    },
  );
});

describe('providers of an agent', () => {
  const agents = (providers: string): string => `
agents:
  booking: { instructions: You answer., greeting: "Hello.", providers: ${providers}, silence: false }
  other: { instructions: You answer., greeting: "Hello.", providers: [openai], silence: false }
numbers: [{ number: "*", agent: booking }]
`;

  it('are taken in order; one that lacks something is passed over with a warning', async () => {
    const on = await start({
      agents: agents('[openai, local]').replace('providers: [openai], ', ''),
      env: { OPENAI_API_KEY: '', OPENAI_BASE_URL: '' },
    });
    const warning = await on.logged('a provider of an agent cannot be used');
    expect(warning).toMatchObject({ level: 40, agent: 'booking' });
    expect(JSON.stringify(warning)).toContain('openai: OPENAI_API_KEY is not set');
    const call = on.dial();
    expect((await on.event('providerReady')).provider).toBe('local');
    await call.hangUp();
  });

  it('that can none of them be had keep the service from starting', async () => {
    const made = AgentsService.start({
      agents: agents('[openai]'),
      env: { OPENAI_API_KEY: '', OPENAI_BASE_URL: '' },
    });
    await expect(made).rejects.toThrow(/BAD_CONFIG: .*booking.*openai.*OPENAI_API_KEY/s);
    await expect(made).rejects.toThrow(/other.*openai.*OPENAI_API_KEY/s);
  });

  it('that nobody knows keep the service from starting', async () => {
    const made = AgentsService.start({ agents: agents('[opnai]') });
    await expect(made).rejects.toThrow(
      /BAD_CONFIG: .*agents\.yaml:3:\d+ agents\.booking\.providers.*opnai.*openai/s,
    );
  });
});

describe('a call that is placed', () => {
  const OUTBOUND = `
variables: { guest: nobody, table: "" }
agents:
  booking: { instructions: "{{agent}} calls {{callee}} for {{guest}} {{table}}.", greeting: "Hello {{guest}}!", silence: false }
  reminder: { instructions: "{{agent}} reminds {{callee}} for {{guest}} {{table}}.", greeting: "Hello {{guest}}!", silence: false }
numbers:
  - { number: "${NUMBER}", agent: booking, variables: { guest: Mr Number, table: "4" } }
`;
  const TO = '+15550100777';

  it('is for the agent and with the variables of the order', async () => {
    const on = await start({ agents: OUTBOUND });
    const order = { from: NUMBER, to: TO, agent: 'reminder', variables: { guest: 'Ms Order' } };
    const placed = await on.api('POST', '/calls', order);
    expect(placed).toMatchObject({ status: 201, body: { agent: 'reminder' } });
    const call = await on.exchange.nextDialled();
    await on.says('Hello Ms Order!');
    const model = await on.session();
    expect(model.session.instructions).toBe(`reminder reminds ${TO} for Ms Order 4.`);
    expect((await on.api('GET', `/calls/${placed.body['id']}`)).body).toMatchObject({ agent: 'reminder' });
    await call.hangUp();
  });

  it('is for the agent of the number that calls when the order names none', async () => {
    const on = await start({ agents: OUTBOUND });
    expect((await on.api('POST', '/calls', { from: NUMBER, to: TO })).status).toBe(201);
    const call = await on.exchange.nextDialled();
    await on.says('Hello Mr Number!');
    expect((await on.session()).session.instructions).toBe(`booking calls ${TO} for Mr Number 4.`);
    await call.hangUp();
  });

  it('for an agent that there is not is refused with the names of those that there are', async () => {
    const on = await start({ agents: OUTBOUND });
    const wrong = await on.api('POST', '/calls', { from: NUMBER, to: TO, agent: 'remindr' });
    expect(wrong.status).toBe(400);
    expect(JSON.stringify(wrong.body)).toMatch(/remindr.*booking, reminder/);
    const stranger = await on.api('POST', '/calls', { from: '+15550100666', to: TO });
    expect(stranger.status).toBe(400);
    expect(JSON.stringify(stranger.body)).toMatch(/booking, reminder/);
    const named = await on.api('POST', '/calls', { from: '+15550100666', to: TO, agent: 'booking' });
    expect(named.status).toBe(201);
    expect(JSON.stringify(on.log)).not.toContain('5550100666');
    await (await on.exchange.nextDialled()).hangUp();
  });

  it('can be ordered from the command line, with agent and variables', async () => {
    const on = await start({ agents: OUTBOUND });
    const written = { out: '', err: '' };
    const terminal = {
      env: { API_TOKEN: 'operator' },
      isTty: false,
      out: (text: string) => {
        written.out += text;
      },
      err: (text: string) => {
        written.err += text;
      },
      onStray: () => undefined,
      onInterrupt: () => () => undefined,
    };
    const order = [TO, '--from', NUMBER, '--url', on.url, '--agent', 'reminder'];
    const done = await dial.run([...order, '--var', 'guest=Mr A=B', '--var', 'table=7'], terminal);
    expect([done, written.err]).toEqual([0, '']);
    const call = await on.exchange.nextDialled();
    await on.says('Hello Mr A=B!');
    expect((await on.session()).session.instructions).toBe(`reminder reminds ${TO} for Mr A=B 7.`);
    await call.hangUp();
    expect(await dial.run([...order.slice(0, -1), 'nobody'], terminal)).toBe(2);
    expect(written.err).toMatch(/booking, reminder/);
  });
});

describe('an agent of the file', () => {
  it('says goodbye and ends the call, with the texts of the file filled in', async () => {
    const on = await start({
      agents: `
agents:
  booking:
    instructions: You answer.
    greeting: "You call from {{caller}}."
    silence: { afterSeconds: 1, prompts: ["Are you there, {{caller}}?"], goodbye: "Goodbye {{caller}}." }
numbers: [{ number: "*", agent: booking }]
`,
    });
    const call = await on.connected();
    await on.says(`You call from ${CALLER}.`);
    await on.says(`Are you there, ${CALLER}?`);
    await on.says(`Goodbye ${CALLER}.`);
    expect((await on.event('ended')).reason).toBe('caller-silent');
    expect((await call.ended).endedBy).toBe('rest');
  });

  it('has only the functions that it lists', async () => {
    const on = await start({
      agents: `
agents:
  booking: { instructions: You answer., greeting: "Hello.", tools: [current_time], silence: false }
numbers: [{ number: "*", agent: booking }]
`,
      model: [calls('end_call', {}), says('I cannot.')],
    });
    const call = await on.connected();
    expect((await on.session()).session.tools.map(({ name }) => name)).toEqual(['current_time']);
    await speak(call);
    expect(await on.event('tool')).toMatchObject({ name: 'end_call', outcome: 'refused' });
    await on.says('I cannot.');
    await call.hangUp();
  });
});

describe('a service with an agents file', () => {
  const MODEST = `
agents:
  booking: { instructions: You answer., greeting: "Hello.", silence: false, providers: [local] }
webhooks: { end: { url: "http://127.0.0.1:9/end", secret: "${HOOK_SECRET}" } }
prices: { currency: EUR, carriers: { twilio: { inboundPerMinute: 1, outboundPerMinute: 1, streamPerMinute: 0 } } }
budget: { perDay: 100 }
`;

  it('that is closed leaves nothing that runs', async () => {
    const clock = new VirtualClock();
    const on = await start({ agents: MODEST, clock });
    expect(clock.pending).toBeGreaterThan(0);
    await on.bridge.close();
    expect(clock.pending).toBe(0);
    await on.bridge.close();
  });

  it('that cannot start leaves nothing that runs', async () => {
    const clock = new VirtualClock();
    const agents = MODEST.replace('local', 'openai');
    const env = { OPENAI_API_KEY: '', OPENAI_BASE_URL: '' };
    await expect(AgentsService.start({ agents, clock, env })).rejects.toThrow(/BAD_CONFIG/);
    expect(clock.pending).toBe(0);
  });

  it('whose DATA_DIR is no folder says so at the start', async () => {
    const made = AgentsService.start({ agents: MODEST, env: { DATA_DIR: fileURLToPath(import.meta.url) } });
    await expect(made).rejects.toThrow(/BAD_CONFIG: .*service\.test\.ts/);
  });
});
