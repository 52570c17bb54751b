import { z } from 'zod';
import { hookFields, whole } from './fields.ts';

/** `webhooks.start` and `startWebhook` of the agents file: who is asked before a call is answered. */
export const startHookSchema = z
  .strictObject({
    ...hookFields,
    timeoutMs: whole(100, 4000, ' (ms)')
      .default(2000)
      .describe('The whole time for all tries, in ms: the caller hears it ring meanwhile.'),
    retries: whole(0, 5)
      .default(2)
      .describe('Further tries after a connection that failed, a 5xx or a 429, while there is time.'),
    onFailure: z
      .enum(['answer', 'reject'], { error: 'answer or reject' })
      .default('answer')
      .describe('What becomes of the call when nobody gives an answer that can be used.'),
  })
  .describe('Asked before a call is answered: may choose the agent, fill variables, or reject the call.');

/** How it is asked, as the agents file has it, complete. */
export type StartHookConfig = z.output<typeof startHookSchema>;
