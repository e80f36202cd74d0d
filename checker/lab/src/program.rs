//! The Pulumi YAML program, evaluated and applied (in the making).
