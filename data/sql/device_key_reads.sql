-- One row per read of a Device's own certificate, of Devices in scope.
select
    devices.device_no,
    reads.cell_no,
    epoch_us(reads.read_at) as read_at,
    exists (
        from device_certificates as certificate
        where
            certificate.device_key = reads.device_key
            and certificate.cell_no = reads.cell_no
            and certificate.key_identifier = reads.content
    ) as certificate_is_in_use
from cell_reads as reads
join devices using (device_key)
where reads.cell_no in (select cell_no from cells where remote_party_role = 'Device')
