"""The last traces, for a system without Jaeger: received as OTLP, kept in memory, bounded by bytes."""
