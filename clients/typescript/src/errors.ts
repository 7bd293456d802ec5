// What can go wrong, one class for each: how a poll ended if not matched, and what the service refuses.

import type { Diagnostic, Outcome } from "./types.js";

/** The root of all errors of this package, but for `AbortError`, which is the runtime's. */
export class PollError extends Error {
  override readonly name: string = "PollError";
}

/** A poll ended, and not with a match. */
export abstract class PollEnded extends PollError {
  constructor(
    message: string,
    readonly outcome: Outcome,
  ) {
    super(message);
  }
}

/** The failure filter matched, or no request could succeed. */
export class PollFailed extends PollEnded {
  override readonly name = "PollFailed";
}

/** The deadline came first. */
export class PollTimedOut extends PollEnded {
  override readonly name = "PollTimedOut";
}

/** The poll was cancelled. */
export class PollCancelled extends PollEnded {
  override readonly name = "PollCancelled";
}

/** The service refused a request. */
export class ServiceError extends PollError {
  override readonly name: string = "ServiceError";

  constructor(
    message: string,
    readonly status: number,
    /** The problem as the service described it (RFC 9457); empty if it did not. */
    readonly problem: Readonly<Record<string, unknown>>,
    /** Seconds after which the service asks to try again. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/** The key names a poll with another spec. */
export class PollConflict extends ServiceError {
  override readonly name = "PollConflict";

  /** JSON pointers of the members that differ. */
  get fields(): string[] {
    return Array.isArray(this.problem.fields) ? (this.problem.fields as string[]) : [];
  }
}

/** The spec has errors. */
export class InvalidSpec extends ServiceError {
  override readonly name = "InvalidSpec";

  /** All errors and warnings, in the order of the text. */
  get diagnostics(): Diagnostic[] {
    return Array.isArray(this.problem.diagnostics) ? (this.problem.diagnostics as Diagnostic[]) : [];
  }
}

/** There is no such poll, or the key may not see it. */
export class PollNotFound extends ServiceError {
  override readonly name = "PollNotFound";
}

/** The service could not be reached for as long as the client keeps trying. */
export class Unreachable extends PollError {
  override readonly name = "Unreachable";
}

/** The error that an outcome stands for. */
export function errorOf(outcome: Outcome): PollEnded {
  const name = outcome.scope ? `${outcome.scope}/${outcome.key}` : outcome.key;
  const because = outcome.explanation ? `: ${outcome.explanation}` : "";
  const kinds = { failed: PollFailed, "timed out": PollTimedOut, cancelled: PollCancelled, matched: undefined };
  const Kind = kinds[outcome.outcome] ?? PollFailed;
  return new Kind(`the poll ${JSON.stringify(name)} ${outcome.outcome === "cancelled" ? "was cancelled" : outcome.outcome}${because}`, outcome);
}

/** The error of a refusal. */
export function refusal(status: number, text: string, retryAfter?: number): ServiceError {
  let problem: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) problem = parsed as Record<string, unknown>;
  } catch {
    // A proxy in between answers as it likes.
  }
  const said = [problem.detail, problem.title].find((part) => typeof part === "string");
  let message = `the service answered ${status}${said ? `: ${said as string}` : ""}`;
  const Kind = status === 404 ? PollNotFound : status === 409 ? PollConflict : status === 422 ? InvalidSpec : ServiceError;
  if (status === 422 && Array.isArray(problem.diagnostics)) {
    for (const { pointer, message: what, help } of problem.diagnostics as Diagnostic[]) message += `\n  ${pointer ?? ""}: ${what}${help ? ` (${help})` : ""}`;
  }
  if (status === 409 && Array.isArray(problem.fields)) message += ` (${problem.fields.join(", ")})`;
  return new Kind(message, status, problem, retryAfter);
}
