//! How much a pool is asked for: caps, limits, deadlines, further tries, and what stands in when it cannot serve.

mod cap;
