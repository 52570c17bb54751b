import { z } from 'zod';
import { CARRIERS } from '../carrier.ts';
import { dayBudgetSchema, numberBudgetSchema } from '../cost/budget-schema.ts';
import { pricesSchema } from '../cost/prices.ts';
import { endHookSchema } from '../hooks/end-hook.ts';
import { startHookSchema } from '../hooks/start-hook.ts';
import { matching, text } from '../schema-parts.ts';
import { httpHostSchema, httpToolSchema } from '../tools/http.ts';
import { mcpServerSchema } from '../tools/mcp.ts';
import { agentSchema } from './agent-schema.ts';
import { agentName, oneOf, timeZone, variables } from './fields.ts';
import { isNumberPattern, NUMBER_PATTERN } from './numbers.ts';

const NUMBER = 'a number in quotes such as "+15550100", the beginning of one such as "+49*", "sip:…" or "*"';

const numberEntry = z
  .strictObject({
    number: z
      .string({ error: NUMBER })
      .max(256, { error: NUMBER })
      .refine(isNumberPattern, { error: NUMBER })
      .meta({
        description:
          'The number that was called, or that calls: "+15550100", "+49*" for its beginning, "*" for all.',
        pattern: NUMBER_PATTERN,
      }),
    carrier: oneOf(CARRIERS).optional().describe('Left out: calls of every carrier.'),
    agent: agentName.describe('Who answers, or who calls.'),
    variables: variables.default({}),
    budget: numberBudgetSchema.optional(),
  })
  .describe('Which agent has the calls of a number.');

const functionName = matching(/^[A-Za-z0-9_-]{1,64}$/, 'a name of 1 to 64 letters, digits, _ and -');
const serverName = matching(
  /^[a-z0-9][a-z0-9_-]{0,63}$/,
  'a name of 1 to 64 small letters, digits, _ and -, not beginning with _ or -',
);

const tools = z
  .strictObject({
    handlers: z
      .array(text(1000, 'the path of a folder or module'), { error: 'a list of folders and modules' })
      .max(64, { error: 'at most 64 folders and modules' })
      .default([])
      .describe('Folders of modules, or single modules, that export functions; relative to the agents file.'),
    redact: z
      .array(text(128, 'the name of an argument'), { error: 'a list of names of arguments' })
      .default([])
      .describe('Names of arguments that are kept out of events and reports, for all functions.'),
    hosts: z
      .array(httpHostSchema, { error: 'a list of hosts' })
      .default([])
      .describe('The only hosts that functions by HTTP reach.'),
    http: z.record(functionName, httpToolSchema).default({}).describe('Functions that are HTTP requests.'),
    mcp: z.record(serverName, mcpServerSchema).default({}).describe('Servers of the Model Context Protocol.'),
  })
  .describe(`Where functions come from. \${NAME} stands for a variable of the environment.`);

const webhooks = z
  .strictObject({
    start: startHookSchema.optional().describe('Asked at the start of every call.'),
    end: endHookSchema.optional().describe('Told of every call that is over.'),
  })
  .describe(`Requests of the bridge. \${NAME} stands for a variable of the environment.`);

const AGENTS = 'at least one agent';

/** The agents file. Its JSON Schema is `docs/agents.schema.json`. */
export const agentsFileSchema = z
  .strictObject({
    $schema: z.string().optional().describe('Where editors find the schema; not read.'),
    timeZone: timeZone.default('UTC'),
    variables: variables.default({}),
    agents: z
      .record(agentName, agentSchema, { error: AGENTS })
      .refine((agents) => Object.keys(agents).length > 0, { error: AGENTS })
      .describe('By name.'),
    numbers: z
      .array(numberEntry, { error: 'a list of numbers' })
      .max(10_000, { error: 'at most 10000 numbers' })
      .optional()
      .describe('Number to agent: the more exact entry counts. May be left out where there is one agent.'),
    tools: tools.prefault({}),
    webhooks: webhooks.prefault({}),
    prices: pricesSchema.optional(),
    budget: dayBudgetSchema.optional(),
  })
  .describe('Agents of Patchcord, and the numbers that they answer.');

export type RawAgentsFile = z.output<typeof agentsFileSchema>;
export type RawNumber = z.output<typeof numberEntry>;
