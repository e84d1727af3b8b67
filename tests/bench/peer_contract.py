"""What the peers of the benchmark share: the contract's own lists, in plain Python and apart from the product's."""

MOST_QUARANTINED = 0.01

# "?" may be null; "era" is a time that must lie between 2012 and the start of the run.
EXTRACTS = {
    "devices": {
        "device_id": "eui",
        "device_type": "text",
        "device_status": "text",
        "csp_region": "text",
        "manufacturer": "text?",
        "model": "text?",
        "firmware_version": "text?",
        "commissioned_at": "era?",
        "responsible_supplier_id": "text?",
        "network_operator_id": "text?",
    },
    "service_responses": {
        "originator_id": "eui",
        "device_id": "eui",
        "originator_counter": "number",
        "srv": "text",
        "command_variant": "number?",
        "credential_type": "text?",
        "remote_party_role": "text?",
        "sent_at": "era",
        "responded_at": "era?",
        "response_code": "text?",
        "execution_status": "text?",
    },
    "dsp_checks": {"device_id": "eui", "check": "text", "checked_at": "era", "passed": "flag"},
    "registrations": {
        "device_id": "eui",
        "supplier_id": "text",
        "effective_from": "date",
        "effective_to": "date?",
    },
    "credential_reads": {
        "device_id": "eui",
        "read_at": "era",
        "remote_party_role": "text",
        "certificate_usage": "text",
        "status_code": "text",
        "subject_unique_id": "eui?",
        "subject_key_identifier": "octets?",
    },
    "certificates": {
        "subject_unique_id": "eui",
        "remote_party_role": "text",
        "certificate_usage": "text",
        "subject_key_identifier": "octets",
        "status": "text",
    },
    "parties": {
        "eui": "eui",
        "party_id": "text",
        "party_name": "text",
        "category": "text",
        "role": "text",
        "is_dcc_user": "flag",
    },
    "incidents": {
        "incident_id": "text",
        "device_id": "eui",
        "raised_at": "time",
        "closed_at": "time?",
        "resolution": "text?",
    },
}

OUT_OF_SCOPE = ["Pending", "Whitelisted", "InstalledNotCommissioned", "Decommissioned", "Withdrawn"]
NO_RESPONSE = ["I99", "E20", "E21", "E30"]
# From best to worst; a verdict is its place.
VERDICTS = [
    "right",
    "not_read",
    "not_judged",
    "unknown_certificate",
    "missing",
    "supplier_credentials",
    "dcc_credentials",
    "wrong_party",
]
CAUSES = ["dcc_credential_handover", "empty_status", "timeout", "change_of_supplier"]
FINDINGS = {
    "failed": {"secure": "over_reported", "not_secure": "confirmed_failure", "unverified": "unverified_failure"},
    "passed": {"secure": "confirmed_pass", "not_secure": "missed_failure", "unverified": "unverified_pass"},
    "not_due": dict.fromkeys(["secure", "not_secure", "unverified"], "not_due"),
}
