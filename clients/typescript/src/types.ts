// What the service answers, by the names of docs/json.md. All of it comes from the OpenAPI document of the service
// (`npm run generate`); CI fails if `api.ts` and the document differ.

import type { components } from "./api.js";

type Schemas = components["schemas"];

/** A response as it was recorded: `body` if it is JSON, else `text`, else `base64`. */
export type RecordedResponse = Schemas["JobResponse"];

/** One request of a poll. */
export type Attempt = Schemas["Attempt"];

/** How a poll ended, with its name. A poll has exactly one outcome, ever. */
export type Outcome = Schemas["NamedOutcome"];

/** `open`, `cancelling`, or the name of the outcome. */
export type PollState = Schemas["State"];

/** How a submission was accepted. */
export type Submitted = Schemas["Submitted"];

/** A poll in a list. */
export type PollRow = Schemas["Row"];

/** A whole poll. */
export type Poll = Schemas["Whole"];

/** What is wrong in a spec, and where. */
export type Diagnostic = Schemas["Diagnostic"];

/** Which polls a list has. */
export interface ListQuery {
  scope?: string;
  state?: Extract<PollState, "open" | "cancelling">;
  outcome?: Schemas["OutcomeName"];
  /** What the key begins with. */
  prefix?: string;
  origin?: string;
  since?: Date | string;
}

/** A step in the life of a poll. `outcome` is the last. */
export type PollEvent =
  | { type: "requesting"; attempt: number; at: string }
  | ({ type: "attempted" } & Attempt)
  | { type: "retry"; at: string; try: number; limit: number }
  | { type: "held"; until: string; by: "own" | "neighbour" }
  /** Events were missed: this many, if that is known. */
  | { type: "lagged"; missed: number | null }
  | ({ type: "outcome" } & Omit<Schemas["Outcome"], "history" | "counts" | "response">);
