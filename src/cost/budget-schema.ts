import { z } from 'zod';
import { isAmount, MOST } from './money.ts';

const AMOUNT = `an amount from 0 to ${MOST} with at most 9 places`;
const SPENDABLE = `an amount above 0, up to ${MOST}, with at most 9 places`;

/** A figure of money as the agents file has it: a number, zero or more. */
export const amountSchema = z
  .number({ error: AMOUNT })
  .min(0, { error: AMOUNT })
  .max(MOST, { error: AMOUNT })
  .refine(isAmount, { error: AMOUNT });

const budget = z
  .number({ error: SPENDABLE })
  .gt(0, { error: SPENDABLE })
  .max(MOST, { error: SPENDABLE })
  .refine(isAmount, { error: SPENDABLE });

/** What a caller hears who may not begin: the busy tone, or that the call was turned down. */
const BUDGET_REFUSALS = ['busy', 'rejected'] as const;

/** `budget` of an agent. Amounts are in the currency of `prices`. */
export const agentBudgetSchema = z
  .strictObject({
    perCall: budget.describe('A call that has cost nearly this much is ended politely.'),
    goodbye: z
      .string({ error: 'text of 1 to 2000 characters' })
      .max(2000, { error: 'text of 1 to 2000 characters' })
      .regex(/\S/, { error: 'text of 1 to 2000 characters' })
      .optional()
      .describe('What the agent says before it hangs up for want of budget.'),
  })
  .describe('What one call of this agent may cost.');

/** `budget` of an entry of `numbers`. */
export const numberBudgetSchema = z
  .strictObject({
    perDay: budget.describe('Each number that the entry stands for may cost this much a day.'),
  })
  .describe('What the calls of a number may cost.');

/** `budget` at the top of the agents file. */
export const dayBudgetSchema = z
  .strictObject({
    perDay: budget.describe('All calls together may cost this much a day.'),
    refusal: z
      .enum(BUDGET_REFUSALS, { error: `one of ${BUDGET_REFUSALS.join(', ')}` })
      .default('busy')
      .describe('What a caller hears when a budget of the day is spent.'),
  })
  .describe('What all calls together may cost; a day begins at midnight of the time zone of the file.');
