import { z } from 'zod';
import { hookFields } from './fields.ts';

/** `webhooks.end` and `endWebhook` of the agents file: where the report of a call goes. */
export const endHookSchema = z
  .strictObject({
    ...hookFields,
    transcript: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe('False: what was said is left out.'),
    args: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe('False: the arguments of functions are left out.'),
  })
  .describe('Told what became of a call, at least once.');

/** Where and what of it, as the agents file has it, complete. */
export type EndHookConfig = z.output<typeof endHookSchema>;
