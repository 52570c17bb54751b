import { loadConfig } from '../../src/config.ts';
import { createOpenAiProvider } from '../../src/providers/openai.ts';
import type { StoredCall } from '../../src/recording/stored-call.ts';
import { startOpenAiSimulator } from '../../src/sim/openai.ts';
import { defineTool } from '../../src/tools.ts';
import { STYLES } from './carrier-styles.ts';
import { RecordingService } from './recording-service.ts';

/** What the simulated model says and hears in `recordSpokenCall`. */
export const WORDS = {
  greeting: 'Good day.',
  heard: 'When are you open?',
  answer: 'From nine to five.',
  result: { open: '9-17' },
} as const;

/** 700 ms that a model takes for speech. */
function speech(): Int16Array {
  return Int16Array.from({ length: 5600 }, (_, i) => Math.round(9000 * Math.sin(i / 3) * Math.sin(i / 400)));
}

const hours = defineTool({
  name: 'hours',
  description: 'When the shop is open.',
  parameters: { type: 'object', properties: { day: { type: 'string' } } },
  run: () => WORDS.result,
});

/**
 * A recorded call of about five seconds by way of Twilio: greeting, a question of the caller, a function, the answer, into
 * which the caller presses a key, and the answer to that, in which the caller hangs up.
 */
export async function recordSpokenCall(): Promise<StoredCall> {
  await using openai = await startOpenAiSimulator({
    firstAudioMs: 60,
    respond: ({ kind }) => {
      if (kind === 'user-turn') return { toolCalls: [{ name: 'hours', args: { day: 'Friday' } }] };
      return kind === 'greeting'
        ? { audioMs: 500, transcript: WORDS.greeting }
        : { audioMs: 2400, transcript: WORDS.answer };
    },
    hear: () => ({ transcript: WORDS.heard }),
  });
  const [style] = STYLES;
  if (style === undefined) throw new Error('there is no carrier');
  const env = { OPENAI_BASE_URL: openai.url };
  await using recording = await RecordingService.start(style, {
    env,
    agent: { greeting: WORDS.greeting, tools: [hours], name: 'desk' },
    provider: createOpenAiProvider({ ...loadConfig(env).openai, apiKey: 'no-key' }),
  });
  const call = recording.on.dial();
  await call.untilHeard(200);
  await call.untilQuiet(300);
  await call.speak(speech());
  await call.untilHeard(600);
  await call.pressKeys('7');
  // What was being said is cut off, and the key answered.
  await call.untilQuiet(120);
  await call.untilHeard(400);
  await call.hangUp();
  return await recording.stored();
}
