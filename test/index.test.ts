import { describe, expect, it } from 'vitest';
import { createBridge, defineTool, loadConfig } from '../src/index.ts';
import { startOpenAiSimulator } from '../src/sim/openai.ts';
import { startExchange } from '../src/sim/phone.ts';

describe('the library', () => {
  it('does what the README shows: a bridge with a function of one’s own', async () => {
    await using openai = await startOpenAiSimulator({
      respond: ({ kind, newItems }) =>
        kind === 'greeting'
          ? { toolCalls: [{ name: 'opening_hours', args: { day: 'Friday' } }] }
          : { audioMs: 300, transcript: String(newItems[0]?.['output']) },
    });
    const opening = defineTool({
      name: 'opening_hours',
      description: 'When the restaurant is open.',
      parameters: { type: 'object', properties: { day: { type: 'string' } } },
      run: (args) => ({ day: args['day'], open: '17:00', close: '23:00' }),
    });
    const said: string[] = [];
    await using bridge = await createBridge({
      config: loadConfig({ PORT: '0', HOST: '127.0.0.1', OPENAI_BASE_URL: openai.url, LOG_LEVEL: 'silent' }),
      tools: [opening],
      observe: (_callId, event) => {
        if (event.type === 'transcript' && event.final) said.push(event.text);
      },
    });
    const url = await bridge.listen();
    await using exchange = await startExchange();
    const call = exchange.placeCall({ webhookUrl: `${url}/voice/twilio`, authToken: bridge.localAuthToken });
    expect(await call.untilHeard(100)).toBe(true);
    await call.hangUp();
    expect(said).toContain('{"day":"Friday","open":"17:00","close":"23:00"}');
  });

  it('gives keys to a handler of one’s own, as the README shows', async () => {
    await using openai = await startOpenAiSimulator({
      respond: ({ kind, newItems }) =>
        kind === 'greeting' ? {} : { audioMs: 300, transcript: JSON.stringify(newItems) },
    });
    const pressed: string[] = [];
    await using bridge = await createBridge({
      config: loadConfig({ PORT: '0', HOST: '127.0.0.1', OPENAI_BASE_URL: openai.url, LOG_LEVEL: 'silent' }),
      digits: {
        endKey: '#',
        handle: (keys) => {
          pressed.push(keys);
          return `Account ${keys.length}.`;
        },
      },
    });
    const url = await bridge.listen();
    await using exchange = await startExchange();
    const call = exchange.placeCall({ webhookUrl: `${url}/voice/twilio`, authToken: bridge.localAuthToken });
    await call.streaming;
    await call.pressKeys('4711#');
    await expect.poll(() => pressed).toEqual(['4711']);
    expect(await call.untilHeard(100)).toBe(true);
    await call.hangUp();
  });
});
