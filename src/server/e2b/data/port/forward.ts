import type { Session } from "../session.ts";
export async function forward(_session: Session, _port: number): Promise<Response> { throw new Error("later"); }
