import { z } from 'zod';
import { BARGE_IN, MESSAGE_S, TRANSFER_RING_S } from '../agents.ts';
import { agentBudgetSchema } from '../cost/budget-schema.ts';
import { FAILOVER } from '../fallback/policy.ts';
import { endHookSchema } from '../hooks/end-hook.ts';
import { startHookSchema } from '../hooks/start-hook.ts';
import { NOISED, RECORDED_BY } from '../recording-terms.ts';
import { text, whole } from '../schema-parts.ts';
import {
  address,
  clipLanguage,
  endKey,
  fraction,
  language,
  oneOf,
  ringSeconds,
  spoken,
  timeZone,
  variables,
  yesOrNo,
} from './fields.ts';
import { toolEntry } from './tool-entries.ts';

/** The schema of one agent. What it leaves out is as the service has it; `docs/agents.md` says how. */

/** Longest instructions, in characters: more is a document, and costs the model its attention. */
export const LONGEST_INSTRUCTIONS = 100_000;

/** People say "hello?" into about a second of silence. */
const GAP_AFTER_MS = FAILOVER.gapFiller?.afterMs ?? 800;

const path = text(1000, 'a path, relative to the agents file');
const A_FILE = z.strictObject({ file: path.describe('Relative to the agents file.') });

const instructions = z
  .union([text(LONGEST_INSTRUCTIONS), A_FILE])
  .describe(
    'What the model is told to be and to do; text with {{variables}}, or { file: prompts/booking.md }.',
  );

const turnDetection = z
  .discriminatedUnion('mode', [
    z
      .strictObject({
        mode: z.literal('server').optional(),
        threshold: fraction(0, 1).optional().describe('Louder speech is needed at higher values.'),
        prefixMs: whole(0, 5000).optional().describe('Audio that is kept from before the speech, in ms.'),
        silenceMs: whole(50, 10_000).optional().describe('A pause of this length ends the turn, in ms.'),
      })
      .describe('By loudness and pauses.'),
    z
      .strictObject({
        mode: z.literal('semantic'),
        eagerness: oneOf(['auto', 'low', 'medium', 'high'])
          .optional()
          .describe('How eagerly the model takes its turn.'),
      })
      .describe('By what was said.'),
  ])
  .describe('When the caller’s turn is over.');

const bargeIn = z
  .strictObject({
    detector: oneOf(['auto', 'local', 'provider'])
      .default(BARGE_IN.detector)
      .describe(
        'provider: only the provider notices; local: the bridge listens as well; auto: it does for providers that tell late.',
      ),
    minSpeechMs: whole(40, 1000)
      .default(BARGE_IN.minSpeechMs)
      .describe('Voice that the bridge needs to hear, in ms.'),
    guardMs: whole(0, 10_000)
      .default(BARGE_IN.guardMs)
      .describe('Speech that begins so soon after the first sound of the agent has to last longer, in ms.'),
  })
  .describe('How it is noticed that the caller speaks while the agent does.');

const providerSettings = z.strictObject({
  name: text(64).describe('Such as openai or gemini; docs/providers.md has all.'),
  model: text(200).optional().describe('Left out: as the service has it.'),
  voice: text(200).optional().describe('Left out: that of the agent.'),
  overrides: z
    .record(z.string(), z.unknown(), { error: 'session fields of the provider' })
    .default({})
    .describe('Raw session fields of this provider, merged last.'),
});
const provider = z.union([text(64), providerSettings]).describe('A provider, or its name alone.');

type RawProvider = z.output<typeof provider>;

const providers = z
  .array(provider, { error: 'a list of providers' })
  .min(1, { error: 'at least one provider' })
  .max(8, { error: 'at most 8 providers' })
  .superRefine((list, context) => {
    const keys = list.map(wishesOf);
    keys.forEach((key, i) => {
      const before = keys.indexOf(key);
      if (before === i) return;
      const message = `found what is the same as providers.${before}, wanted each provider once, or with another model`;
      context.addIssue({ code: 'custom', path: [i], message });
    });
  })
  .describe('In the order in which they are tried; left out: those that the service is configured for.');

/** What two entries for one provider may differ in: it is dialled again anyway, and a voice makes no second one of it. */
function wishesOf(entry: RawProvider): string {
  if (typeof entry === 'string') return JSON.stringify([entry, undefined, {}]);
  return JSON.stringify([entry.name, entry.model, entry.overrides]);
}

const filler = z
  .union([
    z.literal(false),
    z.strictObject({
      afterMs: whole(200, 60_000)
        .default(2000)
        .describe('So long the caller hears nothing before the agent says that it is busy.'),
      say: z
        .array(spoken(), { error: 'a list of texts' })
        .min(1, { error: 'at least one text' })
        .max(20, { error: 'at most 20 texts' })
        .optional()
        .describe('Said in turn by the agent. Default: "One moment, please."'),
      clip: path.optional().describe('A WAV file that is played instead, relative to the agents file.'),
      everyMs: whole(1000, 120_000)
        .default(8000)
        .describe('From the end of one to the beginning of the next.'),
      atMost: whole(1, 20).default(3).describe('How often in one wait.'),
    }),
  ])
  .describe('What the caller hears while a function takes its time; false: nothing.');

/** A number of seconds, or 0 where something is never done. */
function secondsOrNever(min: number, max: number): z.ZodUnion<readonly [z.ZodLiteral<0>, z.ZodNumber]> {
  const error = `a number from ${min} to ${max}, or 0 for never`;
  return z.union([z.literal(0, { error }), z.number({ error }).min(min, { error }).max(max, { error })], {
    error,
  });
}

/** Each is read into memory. */
const MOST_CLIPS = 64;
const CLIPS = 'a path, or one for each language: { de: PATH, default: PATH }';
const clips = z
  .record(clipLanguage, path, { error: CLIPS })
  .refine((given) => Object.keys(given).length > 0, { error: CLIPS })
  .refine((given) => Object.keys(given).length <= MOST_CLIPS, { error: `at most ${MOST_CLIPS} languages` })
  .describe('By language of the agent, such as de or de-AT; default: for all others.');

const failover = z
  .strictObject({
    connectSeconds: fraction(0.5, 60)
      .optional()
      .describe('So long a provider may take to be ready. Default: FAILOVER_CONNECT_SECONDS of the service.'),
    hedgeSeconds: secondsOrNever(0.1, 60)
      .optional()
      .describe(
        'The next one is dialled beside one that is not ready by then; 0: never. Default: FAILOVER_HEDGE_SECONDS of the service.',
      ),
    answerSeconds: secondsOrNever(1, 300)
      .optional()
      .describe(
        'One that keeps still for so long when it is its turn is given up; 0: never. Default: FAILOVER_ANSWER_SECONDS of the service.',
      ),
    filler: z
      .union([
        z.literal(false),
        z.strictObject({
          afterMs: whole(100, 10_000)
            .default(GAP_AFTER_MS)
            .describe('So long the caller hears nothing at all before it begins.'),
          clip: z
            .union([path, clips], { error: CLIPS })
            .optional()
            .describe('A WAV file, or one for each language. Left out: a soft tone.'),
        }),
      ])
      .optional()
      .describe('What the caller hears when a change of provider takes its time; false: nothing.'),
  })
  .describe('How hard the agent tries to have a provider, and what the caller hears meanwhile.');

const silence = z
  .union([
    z.literal(false),
    z.strictObject({
      afterSeconds: fraction(1, 3600).optional().describe('Default: SILENCE_SECONDS of the service.'),
      prompts: z
        .array(spoken(), { error: 'a list of texts' })
        .max(10, { error: 'at most 10 texts' })
        .optional()
        .describe('Said one after the other, each after another such silence.'),
      goodbye: spoken().optional().describe('Said before the agent hangs up.'),
    }),
  ])
  .describe('What is done about a caller who says nothing; false: nothing.');

const lastResort = z
  .union([
    z.literal('hang-up'),
    z.strictObject({
      say: spoken(),
      language: language.optional().describe('Left out: that of the agent.'),
    }),
    z.strictObject({
      message: spoken().describe('Said by the carrier, which records after a tone what the caller says.'),
      language: language.optional().describe('Left out: that of the agent.'),
      maxSeconds: whole(5, 600).default(MESSAGE_S).describe('Longest message.'),
    }),
    z.strictObject({
      transfer: address.describe('Whom the caller is put through to.'),
      callerId: address.optional(),
      ringSeconds: ringSeconds.default(TRANSFER_RING_S),
      announce: spoken().optional(),
      language: language.optional(),
    }),
  ])
  .describe(
    'What the caller gets when no provider is left: a text, an ear for a message, a person, or the end.',
  );

const redact = z
  .strictObject({
    numbers: yesOrNo.default(false).describe('Telephone numbers are replaced by fictitious ones.'),
    fields: z
      .array(text(200), { error: 'a list of names' })
      .max(200, { error: 'at most 200 names' })
      .default([])
      .describe('Fields of messages, and of arguments and results of functions, whose values are taken out.'),
    speech: oneOf(NOISED).default('none').describe('Whose speech is kept as noise of the same length.'),
    words: yesOrNo.default(false).describe('What was said is taken out wherever it is written down.'),
    keys: yesOrNo.default(false).describe('Keys that the caller pressed are taken out.'),
  })
  .describe('What the service takes out of its own recording while it makes it.');

const RECORDING = 'true, false, "bridge", "carrier", "both", or { by: …, redact: … }';

const recording = z
  .union(
    [
      yesOrNo,
      oneOf(RECORDED_BY),
      z
        .strictObject({
          by: oneOf(['bridge', 'carrier', 'both']).default('bridge').describe('Who records.'),
          redact: redact.optional(),
        })
        .superRefine(({ by, redact }, context) => {
          if (by !== 'carrier' || redact === undefined) return;
          const message =
            'found it with by: carrier, wanted bridge or both: what the carrier records is out of reach';
          context.addIssue({ code: 'custom', path: ['redact'], message });
        }),
    ],
    { error: RECORDING },
  )
  .describe(
    'Who records the call from its first second: the carrier (true or carrier), the service (bridge), both, or nobody (false). Default: RECORDING of the service.',
  );

export const agentSchema = z
  .strictObject({
    instructions: instructions.optional(),
    greeting: z
      .union([spoken(), z.literal(false)])
      .optional()
      .describe(
        'What the agent says first; false: it waits for the caller. Default: AGENT_GREETING of the service.',
      ),
    language: language.optional().describe('Of the call, such as en or de-AT; left out: the model decides.'),
    voice: text(200).optional().describe('A voice of the provider.'),
    timeZone: timeZone.optional(),
    variables: variables.default({}),
    turnDetection: turnDetection.optional(),
    bargeIn: bargeIn.optional(),
    transcribeCaller: yesOrNo.optional().describe('What the caller says is written down. Default: true.'),
    providers: providers.optional(),
    failover: failover.optional(),
    audio: oneOf(['wideband', 'passthrough'])
      .optional()
      .describe(
        'passthrough sends G.711 as it is where both ends take it. Default: AUDIO_PATH of the service.',
      ),
    tools: z
      .array(toolEntry, { error: 'a list of functions' })
      .max(128, { error: 'at most 128 functions' })
      .optional()
      .describe('Functions that the model may call. Left out: end_call and current_time.'),
    toolsAtOnce: whole(1, 32).optional().describe('So many functions of one call run at once. Default: 4.'),
    filler: filler.optional(),
    limits: z
      .strictObject({
        callSeconds: whole(1, 86_400)
          .optional()
          .describe('Longest call. Default, and never more: MAX_CALL_SECONDS of the service.'),
        goodbye: spoken().optional().describe('Said when it is reached.'),
      })
      .optional()
      .describe('How long a call may last.'),
    recording: recording.optional(),
    silence: silence.optional(),
    digits: z
      .strictObject({
        endKey: endKey.default('#').describe('Ends the input and is not part of it; false: none does.'),
        timeoutMs: whole(100, 60_000).default(1500).describe('A pause of this length ends the input.'),
        max: whole(1, 64).default(32).describe('So many keys are an input.'),
      })
      .optional()
      .describe('How the keys that the caller presses become one input for the model.'),
    lastResort: lastResort.optional(),
    budget: agentBudgetSchema.optional(),
    startWebhook: z
      .union([startHookSchema, z.literal(false)])
      .optional()
      .describe('In the place of webhooks.start; false: none.'),
    endWebhook: z
      .union([endHookSchema, z.literal(false)])
      .optional()
      .describe('In the place of webhooks.end; false: none.'),
  })
  .describe('Who answers: what it says and knows, what it may do, and when it gives up.');

export type RawAgent = z.output<typeof agentSchema>;
